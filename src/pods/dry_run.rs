//! What an operation would send, from the same builders, without sending it.

use std::fmt;

use serde::Serialize;

use super::{ExecuteRequest, ManageRequest, manager::default_spec, observed};
use crate::{
    cluster::{ExecCommand, kubectl::describe},
    config::Config,
    domain::{CONTAINER, Owner},
    error::Error,
    manifest::{Manifest, PodRender, Templates},
};

/// What stands for the node's name in commands: it is known only once the pod is scheduled.
const NODE: &str = "NODE";

/// The commands that an operation would run on the host, and the manifests that it would send.
/// Nothing is connected to, and no record is made or read: it is what would be sent for an owner
/// without a pod.
///
/// Printed, it is YAML: the commands are comments. Serialized, it is `host`, `commands` and `manifests`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    #[serde(rename = "host")]
    place: String,
    commands: Vec<String>,
    manifests: Vec<Manifest>,
}

impl DryRun {
    /// What [`PodManager::manage`](super::PodManager::manage) would send.
    ///
    /// # Errors
    /// When the request or a template can't be used.
    pub fn manage(config: &Config, request: &ManageRequest) -> Result<Self, Error> {
        let templates = Templates::load(config.templates.as_deref())?;
        let spec = request.onto(&default_spec(&config.pods))?;
        let owner = request.owner();
        let manifests = templates.pod_manifests(owner, &spec, &PodRender::default())?;
        let namespace = owner.namespace();
        let mut commands = describe::apply(
            &config.kubectl,
            &observed::queries(namespace),
            &observed::watched(owner),
            config.limits.ready,
        );
        let address = [observed::service(namespace), observed::node(NODE)];
        commands.extend(describe::find(&config.kubectl, &address));
        Ok(Self::new(config, commands, manifests))
    }

    /// What [`PodManager::execute`](super::PodManager::execute) would send.
    ///
    /// # Errors
    /// When the command is longer than the host can carry.
    pub fn execute(config: &Config, request: &ExecuteRequest) -> Result<Self, Error> {
        request.environment.check_exportable()?;
        let command = ExecCommand {
            program: request.program.clone(),
            environment: request.environment.clone(),
            working_dir: request.working_dir.clone(),
        };
        let namespace = request.owner.namespace();
        let described = describe::exec(&config.kubectl, namespace, CONTAINER, &command)?;
        Ok(Self::new(config, vec![described], Vec::new()))
    }

    /// What [`PodManager::delete`](super::PodManager::delete) would send.
    #[must_use]
    pub fn delete(config: &Config, owner: &Owner) -> Self {
        let commands = describe::delete(
            &config.kubectl,
            &super::delete::queries(owner),
            &observed::owned_namespace(owner),
            config.limits.delete,
        );
        Self::new(config, commands, Vec::new())
    }

    /// What is sent by these commands with these manifests.
    pub(crate) fn new(config: &Config, commands: Vec<String>, manifests: Vec<Manifest>) -> Self {
        let ssh = &config.ssh;
        Self {
            place: format!("{}@{}:{}", ssh.user, ssh.host, ssh.port),
            commands,
            manifests,
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# dry run: nothing is sent; on {} this would be run:",
            self.place
        )?;
        for command in &self.commands {
            let mut lines = command.lines();
            writeln!(f, "#   {}", lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(f, "#     {line}")?;
            }
        }
        if !self.manifests.is_empty() {
            writeln!(f, "# with these manifests on stdin:")?;
        }
        for manifest in &self.manifests {
            writeln!(f, "---\n{}", manifest.text().trim_end())?;
        }
        Ok(())
    }
}
