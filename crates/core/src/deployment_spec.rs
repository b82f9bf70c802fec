//! What is wanted of a deployment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    EnvName, Environment, HealthPath, HostName, Image, ObjectName, Port, Resources, Volume,
};

/// The Secret in a project's namespace that holds the project's own secrets; its keys are names of
/// environment variables.
pub const PROJECT_SECRETS: &str = "project-secrets";
/// The name of the container of a deployment's pods.
pub const APP_CONTAINER: &str = "app";

/// What is wanted of a deployment. Rendered into manifests, and kept beside them in the cluster; it names
/// secrets and never holds their values.
///
/// It is read back, also from what an earlier berth has written: a field that is added needs a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSpec {
    /// The container's image, by its digest when that is known.
    pub image: Image,
    /// How many pods are wanted.
    pub replicas: u16,
    /// The port that the container listens on.
    pub port: Port,
    /// The container's CPU and memory.
    pub resources: Resources,
    /// Environment variables of the container. They win over secrets of the same name.
    pub environment: Environment,
    /// Which of the project's secrets the container has as environment variables.
    pub secrets: SecretUse,
    /// What the container runs; none: what the image starts.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// What is asked for by HTTP to see whether a pod is well, also by the load balancer.
    pub health_path: HealthPath,
    /// Whether the cluster asks for it too; without, a pod that runs is well.
    pub probe: bool,
    /// How long a pod that has started may take until it is well, in seconds.
    pub start_seconds: u16,
    /// Volumes of the container.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Secrets with which the image is pulled.
    #[serde(default)]
    pub pull_secrets: Vec<ObjectName>,
    /// The pods' service account; none: the namespace's default one, without its token.
    #[serde(default)]
    pub service_account: Option<ObjectName>,
    /// How it is reached from outside.
    #[serde(default)]
    pub public: Public,
}

/// Which of a project's secrets a container has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretUse {
    /// All that the project has when a pod starts.
    #[default]
    All,
    /// These alone; each must be there.
    Named(BTreeSet<EnvName>),
    /// None.
    Nothing,
}

impl SecretUse {
    /// Whether the secret of this name is among them.
    #[must_use]
    pub fn takes(&self, name: &EnvName) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
            Self::Nothing => false,
        }
    }
}

/// How a deployment is reached from outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case")]
pub struct Public {
    /// Under which name.
    pub host: PublicHost,
    /// Whether by a load balancer of the project's own.
    pub dedicated_alb: bool,
}

/// Under which name a deployment is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicHost {
    /// The project's name below the domain of the settings.
    #[default]
    OfDomain,
    /// This name.
    Named(HostName),
    /// None: it is reached inside the cluster alone.
    Nothing,
}
