//! A pod: what is wanted of it, and what is remembered.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Environment, Image, Invalid, Port, Resources};

/// The name of each owner's Deployment. Owners do not share a namespace, so it can be the same for all.
pub const DEPLOYMENT: &str = "workspace";
/// The name of each owner's Service.
pub const SERVICE: &str = "workspace";
/// The name of the container in each owner's pod.
pub const CONTAINER: &str = "workspace";
/// Where the pod's scratch volume is mounted.
pub const WORKSPACE_PATH: &str = "/workspace";

/// What is wanted of an owner's pod. Rendered into manifests, and kept beside them in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSpec {
    /// The container's image.
    pub image: Image,
    /// The container's CPU and memory.
    pub resources: Resources,
    /// The ports that the Service opens on every node, each once.
    pub ports: Vec<Port>,
    /// Environment variables of the container.
    pub environment: Environment,
    /// What the container runs.
    pub command: PodCommand,
}

/// What a pod's container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodCommand {
    /// Nothing but waiting for commands: any image with a shell stays up.
    #[default]
    Idle,
    /// What the image itself starts.
    Image,
    /// This argument vector.
    Argv(Vec<String>),
}

impl PodCommand {
    /// The container's `command`, or none when the image decides.
    ///
    /// The idle command ends at once when the pod is deleted, instead of after the grace period.
    #[must_use]
    pub fn argv(&self) -> Option<Vec<String>> {
        match self {
            Self::Idle => Some(
                [
                    "/bin/sh",
                    "-c",
                    "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done",
                ]
                .map(str::to_owned)
                .to_vec(),
            ),
            Self::Image => None,
            Self::Argv(words) => Some(words.clone()),
        }
    }
}

/// What is remembered of a pod's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodStatus {
    /// Claimed or sent to the cluster, not yet seen ready.
    Created,
    /// Seen ready.
    Running,
    /// Seen without a running container, with nothing wrong.
    Stopped,
    /// Seen unable to run; the diagnosis says why.
    Error,
}

impl PodStatus {
    /// `created`, `running`, `stopped` or `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for PodStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PodStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Created, Self::Running, Self::Stopped, Self::Error]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                Invalid::new(
                    "pod status",
                    text,
                    "is not known",
                    "use created, running, stopped or error",
                )
            })
    }
}

/// How an owner's Service is reached from outside the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDetails {
    /// The address of the node that the pod runs on.
    pub node_address: Option<String>,
    /// Each port of the container and the port of the nodes that leads to it.
    pub ports: Vec<Endpoint>,
    /// `http://` and the address of the first port, when both are known.
    pub access_url: Option<String>,
}

/// A port of the container and the port of the nodes that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container's port.
    pub port: Port,
    /// The port that every node answers on, 30000 to 32767 by default.
    pub node_port: Port,
}

impl ServiceDetails {
    /// The details of a Service with these ports on a node with this address.
    #[must_use]
    pub fn new(node_address: Option<String>, ports: Vec<Endpoint>) -> Self {
        let access_url = node_address
            .as_deref()
            .zip(ports.first())
            .map(|(host, first)| {
                // An IPv6 address stands in brackets (RFC 3986, 3.2.2).
                if host.contains(':') {
                    format!("http://[{host}]:{}", first.node_port)
                } else {
                    format!("http://{host}:{}", first.node_port)
                }
            });
        Self {
            node_address,
            ports,
            access_url,
        }
    }
}
