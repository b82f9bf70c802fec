//! What a cluster says of an owner's objects.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service},
};

/// A namespace's labels and whether it is on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted: nothing can be created in it any more.
    pub terminating: bool,
}

/// Everything that bears on an owner's pod, seen at one time.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The namespace, when there is one of that name.
    pub namespace: Option<NamespaceFacts>,
    /// The owner's Deployment.
    pub deployment: Option<Deployment>,
    /// The owner's Service.
    pub service: Option<Service>,
    /// The pods of the Deployment, those on their way out too.
    pub pods: Vec<Pod>,
}

impl Observed {
    /// The name of the newest pod that is not on its way out.
    #[must_use]
    pub fn newest_pod(&self) -> Option<String> {
        self.pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .max_by_key(|pod| pod.metadata.creation_timestamp.clone())
            .and_then(|pod| pod.metadata.name.clone())
    }
}

/// Where an owner's pod is reached.
#[derive(Debug, Clone, Default)]
pub struct Address {
    /// The address at which the node's ports are best reached: its `ExternalIP`, else its
    /// `InternalIP`. None when the node has neither, or may not be read.
    pub node: Option<String>,
    /// The owner's Service, with its node ports.
    pub service: Option<Service>,
}

/// One object that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Resource and name as kubectl prints them, such as `deployment.apps/workspace`.
    pub object: String,
}

/// One change that a watch saw.
#[derive(Debug, Clone)]
pub enum Change {
    /// The Deployment as it now is.
    Deployment(Box<Deployment>),
    /// The Deployment is gone.
    DeploymentGone,
    /// A pod as it now is.
    Pod(Box<Pod>),
    /// A pod is gone; its name.
    PodGone(String),
}

/// Which of a container's logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod.
    pub pod: String,
    /// The container, or the one that berth names when there is none.
    pub container: Option<String>,
    /// Go on with what the container prints from now on.
    pub follow: bool,
    /// The container's run before the last start.
    pub previous: bool,
    /// At most this many of the last lines.
    pub tail_lines: Option<u32>,
    /// Only the lines from this time on, which is rounded down to whole seconds.
    pub since: Option<DateTime<Utc>>,
    /// At most this many bytes, counted from the first line that is wanted.
    pub limit_bytes: Option<u32>,
    /// Each line begins with its time (RFC 3339).
    pub timestamps: bool,
}
