//! A deployment is asked for.

mod wanted;

use std::{collections::BTreeSet, time::Duration};

use self::wanted::Wanted;
use crate::domain::{
    DeploymentName, EnvName, Environment, HealthPath, HostName, Image, Invalid, ObjectName, Owner,
    Port, PublicHost, SecretUse, Volume,
};

/// Asks for an image to run as a project's deployment.
///
/// What is left open stays as it is when the deployment is there already, and comes from the settings
/// when it is not (or always, with [`DeployRequest::fresh`]).
///
/// ```
/// use berth::DeployRequest;
///
/// let request = DeployRequest::project("my-project-123", "registry.example.com/shop:1")?
///     .replicas(2)
///     .port(8080)?
///     .memory_limit("200Mi")?
///     .rollback_on_failure(true);
/// # Ok::<(), berth::domain::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployRequest {
    owner: Owner,
    name: DeploymentName,
    image: Image,
    wanted: Wanted,
    fresh: bool,
    pub(in crate::deployments) rollback_on_failure: bool,
    pub(in crate::deployments) wait_for_turn: bool,
    pub(in crate::deployments) limit: Option<Duration>,
}

impl DeployRequest {
    /// Asks for this image as a deployment that is named after its repository.
    ///
    /// # Errors
    /// When the repository is named as no deployment can be; [`DeployRequest::named`] is for that.
    pub fn new(owner: Owner, image: Image) -> Result<Self, Invalid> {
        let name = DeploymentName::of_image(&image)?;
        Ok(Self::named(owner, name, image))
    }

    /// Asks for this image as the deployment of this name.
    #[must_use]
    pub fn named(owner: Owner, name: DeploymentName, image: Image) -> Self {
        Self {
            owner,
            name,
            image,
            wanted: Wanted::default(),
            fresh: false,
            rollback_on_failure: false,
            wait_for_turn: false,
            limit: None,
        }
    }

    /// Asks for this image as a deployment of the project with this id.
    ///
    /// # Errors
    /// When the id or the image can't be used.
    pub fn project(id: &str, image: &str) -> Result<Self, Invalid> {
        Self::new(Owner::project(id)?, image.parse()?)
    }

    /// The same for another owner, such as the one that a namespace turns out to belong to.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }

    /// Another image, such as the one that a build has just made. The name stays.
    #[must_use]
    pub fn image(self, image: Image) -> Self {
        Self { image, ..self }
    }

    /// How many pods are wanted.
    #[must_use]
    pub fn replicas(mut self, replicas: u16) -> Self {
        self.wanted.replicas = Some(replicas);
        self
    }

    /// The port that the container listens on.
    ///
    /// # Errors
    /// When it is no TCP port.
    pub fn port(mut self, port: u16) -> Result<Self, Invalid> {
        self.wanted.port = Some(Port::try_from(port)?);
        Ok(self)
    }

    /// The most CPU that the container may use, such as `200m`.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn cpu_limit(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.wanted.resources.cpu_limit = Some(quantity.parse()?);
        Ok(self)
    }

    /// The most memory that the container may use, such as `200Mi`.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn memory_limit(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.wanted.resources.memory_limit = Some(quantity.parse()?);
        Ok(self)
    }

    /// The CPU that is set aside for the container.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn cpu_request(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.wanted.resources.cpu_request = Some(quantity.parse()?);
        Ok(self)
    }

    /// The memory that is set aside for the container.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn memory_request(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.wanted.resources.memory_request = Some(quantity.parse()?);
        Ok(self)
    }

    /// All the container's own environment variables; those of an earlier deployment are dropped. They
    /// win over secrets of the same name.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.wanted.environment = Some(environment);
        self
    }

    /// Of the project's secrets these alone, as environment variables; none at all for an empty list.
    #[must_use]
    pub fn secrets(mut self, names: impl IntoIterator<Item = EnvName>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        self.wanted.secrets = Some(if names.is_empty() {
            SecretUse::Nothing
        } else {
            SecretUse::Named(names)
        });
        self
    }

    /// What the container runs.
    ///
    /// # Errors
    /// When it names no program, or has a NUL byte in a word.
    pub fn command(mut self, words: Vec<String>) -> Result<Self, Invalid> {
        // A word may be secret: it is named by its place.
        let problem = match words.iter().position(|word| word.contains('\0')) {
            Some(at) => format!("has a NUL byte in its word {}", at + 1),
            None if words.first().is_none_or(String::is_empty) => "has no program".to_owned(),
            None => {
                self.wanted.command = Some(words);
                return Ok(self);
            }
        };
        let remedy = "give a program and its arguments";
        Err(Invalid::new("command", "", problem, remedy))
    }

    /// The path that is asked for by HTTP to see whether a pod is well.
    #[must_use]
    pub fn health_path(mut self, path: HealthPath) -> Self {
        self.wanted.health_path = Some(path);
        self
    }

    /// Whether the cluster asks for that path. Without, a pod that stays up for a moment is well.
    #[must_use]
    pub fn probe(mut self, probe: bool) -> Self {
        self.wanted.probe = Some(probe);
        self
    }

    /// How long a pod that has started may take until it is well; whole seconds.
    ///
    /// # Errors
    /// When it is less than 1 s, or more than 65535 s.
    pub fn start_period(mut self, period: Duration) -> Result<Self, Invalid> {
        let seconds = u16::try_from(period.as_secs()).ok();
        let seconds = seconds.filter(|seconds| *seconds > 0).ok_or_else(|| {
            let remedy = format!("use 1s up to {}s", u16::MAX);
            Invalid::new(
                "start period",
                &format!("{period:?}"),
                "can't be used",
                remedy,
            )
        })?;
        self.wanted.start_seconds = Some(seconds);
        Ok(self)
    }

    /// All volumes of the container; those of an earlier deployment are dropped.
    ///
    /// # Errors
    /// When two are mounted at one path.
    pub fn volumes(mut self, volumes: Vec<Volume>) -> Result<Self, Invalid> {
        let mut paths = BTreeSet::new();
        if let Some(twice) = volumes.iter().find(|volume| !paths.insert(volume.path())) {
            return Err(Invalid::new(
                "volume",
                &twice.to_string(),
                "is mounted where another one is",
                "give each volume a path of its own",
            ));
        }
        self.wanted.volumes = Some(volumes);
        Ok(self)
    }

    /// The Secrets, of type `kubernetes.io/dockerconfigjson`, with which the image is pulled.
    #[must_use]
    pub fn pull_secrets(mut self, names: Vec<ObjectName>) -> Self {
        self.wanted.pull_secrets = Some(names);
        self
    }

    /// The pods' service account, whose token they then have.
    #[must_use]
    pub fn service_account(mut self, name: ObjectName) -> Self {
        self.wanted.service_account = Some(name);
        self
    }

    /// The host name under which it is reached, in place of the project's own below the domain.
    #[must_use]
    pub fn hostname(mut self, host: HostName) -> Self {
        self.wanted.host = Some(PublicHost::Named(host));
        self
    }

    /// It is reached inside the cluster alone.
    #[must_use]
    pub fn no_ingress(mut self) -> Self {
        self.wanted.host = Some(PublicHost::Nothing);
        self
    }

    /// Whether it is reached by a load balancer of the project's own.
    #[must_use]
    pub fn dedicated_alb(mut self, dedicated: bool) -> Self {
        self.wanted.dedicated_alb = Some(dedicated);
        self
    }

    /// What is left open comes from the settings, and not from the deployment that is there.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Whether a release that can't run is taken back.
    #[must_use]
    pub fn rollback_on_failure(mut self, rollback: bool) -> Self {
        self.rollback_on_failure = rollback;
        self
    }

    /// Whether to wait for another process that works on the same deployment, instead of failing at
    /// once. The lease of a process that may be dead is waited for in any case, until it has run out.
    #[must_use]
    pub fn wait_for_turn(mut self, wait: bool) -> Self {
        self.wait_for_turn = wait;
        self
    }

    /// The longest that the rollout may take.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Whose deployment it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DeploymentName {
        &self.name
    }

    /// Its image, as it was asked for.
    pub(in crate::deployments) fn asked_image(&self) -> &Image {
        &self.image
    }

    /// Whether a number of pods is asked for.
    pub(in crate::deployments) fn asks_for_replicas(&self) -> bool {
        self.wanted.replicas.is_some() || self.fresh
    }

    /// What is said of its host; none when that is left open.
    pub(in crate::deployments) fn asked_host(&self) -> Option<&PublicHost> {
        self.wanted.host.as_ref()
    }

    /// Whether nothing of what is there counts.
    pub(in crate::deployments) fn is_fresh(&self) -> bool {
        self.fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resources;

    fn resources() -> Resources {
        let quantity = |text: &str| text.parse().unwrap();
        let memory = |text: &str| text.parse().unwrap();
        Resources::new(quantity("1"), memory("1Gi"), quantity("1"), memory("1Gi")).unwrap()
    }

    #[test]
    fn what_is_left_open_stays_and_what_is_said_takes_effect() {
        let request = DeployRequest::project("shop", "team/web:1").unwrap();
        let base = request.base(&resources()).unwrap();
        let first = request
            .clone()
            .replicas(3)
            .probe(false)
            .volumes(vec!["empty:/cache".parse().unwrap()])
            .unwrap()
            .no_ingress()
            .onto(&base)
            .unwrap();
        let second = DeployRequest::project("shop", "team/web:2").unwrap();
        let second = second.memory_limit("512Mi").unwrap().onto(&first).unwrap();
        assert_eq!(second.image.as_str(), "team/web:2");
        assert_eq!((second.replicas, second.probe), (3, false));
        assert_eq!(second.public.host, PublicHost::Nothing);
        assert_eq!(second.resources.memory_request.to_string(), "512Mi");
        assert_eq!(second.volumes, first.volumes);
    }

    #[test]
    fn what_can_never_be_is_refused() {
        let request = || DeployRequest::project("shop", "web").unwrap();
        assert!(request().command(vec![]).is_err());
        assert!(request().command(vec!["a".into(), "b\0".into()]).is_err());
        let volumes = ["empty:/a", "pvc/b:/a"].map(|text| text.parse().unwrap());
        assert!(request().volumes(volumes.to_vec()).is_err());
        let above = request().memory_limit("1Gi").unwrap();
        assert!(above.memory_request("2Gi").unwrap().check().is_err());
        assert_eq!(request().name().as_str(), "web");
        assert!(DeployRequest::project("shop", "workspace").is_err());
    }
}
