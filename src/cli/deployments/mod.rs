//! The commands for deployments, one file each.

pub(super) mod deploy;
pub(super) mod list_instances;
pub(super) mod revisions;
pub(super) mod rollback;
pub(super) mod secret;
pub(super) mod stop;
mod view;

use super::{args::ProjectArgs, progress::Steps, session::Session};
use crate::{
    deployments::{DeployProgress, DeployStep, DeploymentManager, Settings, Target},
    domain::{Namespace, Owner},
    error::Error,
};

/// The manager of deployments.
async fn manager(session: &Session) -> Result<DeploymentManager, Error> {
    let (site, config) = session.site().await?;
    Ok(DeploymentManager::new(site.clone(), Settings::of(config)))
}

/// Which project is meant.
fn target(args: &ProjectArgs) -> Result<Target, Error> {
    if let Some(namespace) = &args.namespace {
        return Ok(Target::Namespace(namespace.parse()?));
    }
    let id = args.project_id.as_deref().unwrap_or_default();
    Ok(Target::Project(Owner::project(id)?))
}

/// The namespace that is meant.
fn namespace(
    project_id: Option<&str>,
    namespace: Option<&str>,
) -> Result<Option<Namespace>, Error> {
    Ok(match (namespace, project_id) {
        (Some(namespace), _) => Some(namespace.parse()?),
        (None, Some(id)) => Some(Owner::project(id)?.namespace()),
        (None, None) => None,
    })
}

impl DeployProgress for Steps {
    fn step(&self, step: &DeployStep) {
        self.say(&step.to_string());
    }
}
