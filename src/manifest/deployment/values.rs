//! The values that the templates of a deployment may use.

use std::time::Duration;

use serde::Serialize;

use super::SERVICE_PORT;
use crate::{
    domain::{
        APP_CONTAINER, DeploymentName, DeploymentSpec, Image, LABEL_DEPLOYMENT, LABEL_MANAGED_BY,
        LABEL_NAME, MANAGED_BY, Owner, PROJECT_SECRETS, SecretUse, Volume, VolumeSource,
    },
    manifest::verbatim::verbatim,
};

/// The name of the container's port, by which the Service and the probes find it.
const PORT_NAME: &str = "http";
/// The service account that each namespace has. It is always named: the cluster keeps an earlier one in
/// a second field, so that leaving it out does not take it away.
pub(super) const DEFAULT_ACCOUNT: &str = "default";
/// How long a program that is asked nothing must stay up to count as running.
const PROVING_SECONDS: u32 = 2;
/// The time beyond a container's time to start after which the kubelet starts it again; who watches has
/// spoken by then.
const START_MARGIN: u32 = 30;

/// What `{{ … }}` can name in the templates of Deployment and Service.
#[derive(Debug, Serialize)]
pub(super) struct DeploymentValues {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) labels: Vec<Label>,
    pub(super) app: String,
    pub(super) owner_id: String,
    /// The `DeploymentSpec` as JSON.
    pub(super) spec: String,
    pub(super) release: String,
    pub(super) container: &'static str,
    pub(super) port_name: &'static str,
    pub(super) service_port: u16,
    /// The tags of the load balancer's target group, as the annotation takes them.
    pub(super) tags: Option<String>,
    replicas: u16,
    min_ready_seconds: u32,
    progress_deadline_seconds: u64,
    image: String,
    pub(super) pull_policy: &'static str,
    command: Vec<String>,
    port: u16,
    environment: Vec<Variable>,
    secrets_object: &'static str,
    all_secrets: bool,
    named_secrets: Vec<String>,
    probe: bool,
    health_path: String,
    start_failures: u32,
    cpu_limit: String,
    memory_limit: String,
    cpu_request: String,
    memory_request: String,
    volumes: Vec<Mount>,
    pull_secrets: Vec<String>,
    service_account: String,
    has_token: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Label {
    pub(super) key: &'static str,
    pub(super) value: String,
}

#[derive(Debug, Serialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct Mount {
    name: String,
    kind: &'static str,
    source: String,
    path: String,
    read_only: bool,
}

impl Mount {
    fn new(index: usize, volume: &Volume) -> Self {
        let (kind, source) = match volume.source() {
            VolumeSource::Empty => ("empty", ""),
            VolumeSource::Secret(name) => ("secret", name.as_str()),
            VolumeSource::ConfigMap(name) => ("configmap", name.as_str()),
            VolumeSource::Claim(name) => ("pvc", name.as_str()),
        };
        Self {
            name: format!("volume-{index}"),
            kind,
            source: source.to_owned(),
            path: volume.path().to_owned(),
            read_only: volume.is_read_only(),
        }
    }
}

impl DeploymentValues {
    pub(super) fn new(
        owner: &Owner,
        name: &DeploymentName,
        spec: &DeploymentSpec,
        limit: Duration,
    ) -> Result<Self, serde_json::Error> {
        let command = spec.command.iter().flatten();
        let environment = spec.environment.iter().map(|(name, value)| Variable {
            name: name.as_str().to_owned(),
            value: verbatim(value),
        });
        let named = match &spec.secrets {
            // What is given as a plain variable wins; a list may hold a name only once.
            SecretUse::Named(names) => names
                .iter()
                .filter(|name| spec.environment.iter().all(|(plain, _)| plain != *name))
                .map(|name| name.as_str().to_owned())
                .collect(),
            SecretUse::All | SecretUse::Nothing => Vec::new(),
        };
        let min_ready_seconds = if spec.probe { 0 } else { PROVING_SECONDS };
        Ok(Self {
            name: name.to_string(),
            namespace: owner.namespace().to_string(),
            labels: labels(name),
            app: owner.app_label(),
            owner_id: owner.id().to_owned(),
            spec: serde_json::to_string(spec)?,
            release: String::new(),
            container: APP_CONTAINER,
            port_name: PORT_NAME,
            service_port: SERVICE_PORT,
            tags: None,
            replicas: spec.replicas,
            min_ready_seconds,
            // It must be longer than a pod is waited for.
            progress_deadline_seconds: limit.as_secs().max(u64::from(min_ready_seconds) + 1),
            image: spec.image.to_string(),
            pull_policy: pull_policy(&spec.image, false),
            command: command.map(|word| verbatim(word)).collect(),
            port: spec.port.number(),
            environment: environment.collect(),
            secrets_object: PROJECT_SECRETS,
            all_secrets: spec.secrets == SecretUse::All,
            named_secrets: named,
            probe: spec.probe,
            health_path: spec.health_path.to_string(),
            start_failures: u32::from(spec.start_seconds) + START_MARGIN,
            cpu_limit: spec.resources.cpu_limit.to_string(),
            memory_limit: spec.resources.memory_limit.to_string(),
            cpu_request: spec.resources.cpu_request.to_string(),
            memory_request: spec.resources.memory_request.to_string(),
            volumes: (spec.volumes.iter().enumerate())
                .map(|(index, volume)| Mount::new(index, volume))
                .collect(),
            pull_secrets: spec.pull_secrets.iter().map(ToString::to_string).collect(),
            service_account: (spec.service_account.as_ref())
                .map_or_else(|| DEFAULT_ACCOUNT.to_owned(), ToString::to_string),
            has_token: spec.service_account.is_some(),
        })
    }
}

/// When a node asks the registry: a digest names one image for ever, and a tag whatever it names now.
pub(super) fn pull_policy(image: &Image, use_node_copy: bool) -> &'static str {
    if image.digest().is_some() || use_node_copy {
        "IfNotPresent"
    } else {
        "Always"
    }
}

/// The labels of all that belongs to a deployment.
fn labels(name: &DeploymentName) -> Vec<Label> {
    [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, name.as_str()),
        (LABEL_DEPLOYMENT, name.as_str()),
    ]
    .map(|(key, value)| Label {
        key,
        value: value.to_owned(),
    })
    .into()
}

/// What `{{ … }}` can name in the template of a project's secrets.
#[derive(Serialize)]
pub(super) struct SecretValues {
    pub(super) name: &'static str,
    pub(super) namespace: String,
    pub(super) labels: Vec<Label>,
    pub(super) owner_id: String,
    pub(super) entry: Option<Entry>,
}

#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) set_at_key: String,
    pub(super) set_at: String,
}

/// Labels of what belongs to a project and to none of its deployments alone.
pub(super) fn project_labels() -> Vec<Label> {
    vec![Label {
        key: LABEL_MANAGED_BY,
        value: MANAGED_BY.to_owned(),
    }]
}
