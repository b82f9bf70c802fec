//! What is asked of a deployment, and what comes of it on top of what there is.

use super::DeployRequest;
use crate::domain::{
    DeploymentSpec, Environment, HealthPath, Invalid, ObjectName, Port, Public, PublicHost,
    ResourceChanges, Resources, SecretUse, Volume,
};

/// The port of a container that does not say.
const PORT: u16 = 8080;
/// How long a pod may take to become well when nothing is said, in seconds.
const START_SECONDS: u16 = 30;

/// What is asked for; `None` where it is left open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) replicas: Option<u16>,
    pub(super) port: Option<Port>,
    pub(super) resources: ResourceChanges,
    pub(super) environment: Option<Environment>,
    pub(super) secrets: Option<SecretUse>,
    pub(super) command: Option<Vec<String>>,
    pub(super) health_path: Option<HealthPath>,
    pub(super) probe: Option<bool>,
    pub(super) start_seconds: Option<u16>,
    pub(super) volumes: Option<Vec<Volume>>,
    pub(super) pull_secrets: Option<Vec<ObjectName>>,
    pub(super) service_account: Option<ObjectName>,
    pub(super) host: Option<PublicHost>,
    pub(super) dedicated_alb: Option<bool>,
}

impl DeployRequest {
    /// Whether the request agrees with itself, before anything is known of what there is.
    pub(in crate::deployments) fn check(&self) -> Result<(), Invalid> {
        self.wanted.resources.check()
    }

    /// What is wanted, given what there is.
    pub(in crate::deployments) fn onto(
        &self,
        base: &DeploymentSpec,
    ) -> Result<DeploymentSpec, Invalid> {
        let wanted = self.wanted.clone();
        let base = base.clone();
        Ok(DeploymentSpec {
            image: self.image.clone(),
            replicas: wanted.replicas.unwrap_or(base.replicas),
            port: wanted.port.unwrap_or(base.port),
            resources: wanted.resources.onto(&base.resources)?,
            environment: wanted.environment.unwrap_or(base.environment),
            secrets: wanted.secrets.unwrap_or(base.secrets),
            command: wanted.command.or(base.command),
            health_path: wanted.health_path.unwrap_or(base.health_path),
            probe: wanted.probe.unwrap_or(base.probe),
            start_seconds: wanted.start_seconds.unwrap_or(base.start_seconds),
            volumes: wanted.volumes.unwrap_or(base.volumes),
            pull_secrets: wanted.pull_secrets.unwrap_or(base.pull_secrets),
            service_account: wanted.service_account.or(base.service_account),
            public: Public {
                host: wanted.host.unwrap_or(base.public.host),
                dedicated_alb: wanted.dedicated_alb.unwrap_or(base.public.dedicated_alb),
            },
        })
    }

    /// What a deployment is when nothing but its image is said.
    pub(in crate::deployments) fn base(
        &self,
        resources: &Resources,
    ) -> Result<DeploymentSpec, Invalid> {
        Ok(DeploymentSpec {
            image: self.image.clone(),
            replicas: 1,
            port: Port::try_from(PORT)?,
            resources: resources.clone(),
            environment: Environment::new(),
            secrets: SecretUse::default(),
            command: None,
            health_path: HealthPath::default(),
            probe: true,
            start_seconds: START_SECONDS,
            volumes: Vec::new(),
            pull_secrets: Vec::new(),
            service_account: None,
            public: Public::default(),
        })
    }
}
