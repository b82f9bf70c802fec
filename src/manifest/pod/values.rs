//! The values that the templates of a pod may use.

use serde::Serialize;

use super::{super::verbatim::verbatim, ImageCheckRender, PodRender};
use crate::domain::{
    CONTAINER, DEPLOYMENT, LABEL_IMAGE_CHECK, LABEL_MANAGED_BY, MANAGED_BY, Owner, PodCommand,
    PodSpec, SERVICE, WORKSPACE_PATH,
};

/// How long a program of the user's must stay up to count as running.
const PROVING_SECONDS: u32 = 2;

/// What `{{ … }}` can name in `templates/pod/`.
#[derive(Debug, Serialize)]
pub(super) struct PodValues {
    pub(super) namespace: String,
    pub(super) deployment: &'static str,
    pub(super) service: &'static str,
    pub(super) container: &'static str,
    pub(super) workspace_path: &'static str,
    pub(super) labels: Vec<Label>,
    pub(super) app: String,
    pub(super) owner_id: String,
    /// The `PodSpec` as JSON.
    pub(super) spec: String,
    /// RFC 3339, when the pod is to be restarted.
    pub(super) restarted_at: Option<String>,
    pub(super) image: String,
    pub(super) command: Vec<String>,
    pub(super) min_ready_seconds: u32,
    pub(super) environment: Vec<Variable>,
    pub(super) ports: Vec<NamedPort>,
    pub(super) cpu_limit: String,
    pub(super) memory_limit: String,
    pub(super) cpu_request: String,
    pub(super) memory_request: String,
}

/// What `{{ … }}` can name in the template of a namespace.
#[derive(Debug, Serialize)]
pub(super) struct NamespaceValues {
    pub(super) namespace: String,
    pub(super) labels: Vec<Label>,
    pub(super) owner_id: String,
}

impl NamespaceValues {
    pub(super) fn new(owner: &Owner) -> Self {
        Self {
            namespace: owner.namespace().to_string(),
            labels: labels(owner),
            owner_id: owner.id().to_owned(),
        }
    }
}

/// What `{{ … }}` can name in the template of an image's check.
#[derive(Debug, Serialize)]
pub(super) struct ImageCheckValues {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) labels: Vec<Label>,
    pub(super) app: String,
    pub(super) owner_id: String,
    pub(super) container: &'static str,
    pub(super) image: String,
    pub(super) deadline_seconds: u64,
}

impl ImageCheckValues {
    pub(super) fn new(owner: &Owner, render: &ImageCheckRender<'_>) -> Self {
        let namespace = owner.namespace().to_string();
        let labels = [
            (LABEL_MANAGED_BY, MANAGED_BY),
            (LABEL_IMAGE_CHECK, render.name),
        ];
        Self {
            name: render.name.to_owned(),
            labels: labels
                .map(|(key, value)| Label {
                    key,
                    value: value.to_owned(),
                })
                .into(),
            namespace,
            app: owner.app_label(),
            owner_id: owner.id().to_owned(),
            container: CONTAINER,
            image: render.spec.image.to_string(),
            deadline_seconds: render.deadline.as_secs().max(1),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Label {
    pub(super) key: &'static str,
    pub(super) value: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Variable {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
pub(super) struct NamedPort {
    name: String,
    number: u16,
}

impl PodValues {
    pub(super) fn new(
        owner: &Owner,
        spec: &PodSpec,
        render: &PodRender,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            namespace: owner.namespace().to_string(),
            deployment: DEPLOYMENT,
            service: SERVICE,
            container: CONTAINER,
            workspace_path: WORKSPACE_PATH,
            labels: labels(owner),
            app: owner.app_label(),
            owner_id: owner.id().to_owned(),
            spec: serde_json::to_string(spec)?,
            restarted_at: render
                .restarted_at
                .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            image: spec.image.to_string(),
            command: spec
                .command
                .argv()
                .unwrap_or_default()
                .iter()
                .map(|word| verbatim(word))
                .collect(),
            min_ready_seconds: match spec.command {
                // It waits, and does nothing that could end.
                PodCommand::Idle => 0,
                PodCommand::Image | PodCommand::Argv(_) => PROVING_SECONDS,
            },
            environment: spec
                .environment
                .iter()
                .map(|(name, value)| Variable {
                    name: name.as_str().to_owned(),
                    value: verbatim(value),
                })
                .collect(),
            ports: spec
                .ports
                .iter()
                .map(|port| NamedPort {
                    name: port.name(),
                    number: port.number(),
                })
                .collect(),
            cpu_limit: spec.resources.cpu_limit.to_string(),
            memory_limit: spec.resources.memory_limit.to_string(),
            cpu_request: spec.resources.cpu_request.to_string(),
            memory_request: spec.resources.memory_request.to_string(),
        })
    }
}

fn labels(owner: &Owner) -> Vec<Label> {
    let pairs = owner.labels().map(|(key, value)| Label {
        key,
        value: value.to_owned(),
    });
    pairs.into()
}
