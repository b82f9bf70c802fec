//! An owner's pod is asked for.

use crate::domain::{
    Environment, Image, Invalid, Owner, PodCommand, PodSpec, Port, ResourceChanges,
};

/// Asks for an owner's pod to be there and running.
///
/// What is left open stays as it is when there is a pod already, and comes from the settings when
/// there is none.
///
/// ```
/// use berth::ManageRequest;
///
/// let request = ManageRequest::project("my-project-123")?
///     .image("busybox:latest")?
///     .memory_limit("200Mi")?
///     .ports([8080])?;
/// # Ok::<(), berth::domain::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManageRequest {
    owner: Owner,
    image: Option<Image>,
    resources: ResourceChanges,
    ports: Option<Vec<Port>>,
    environment: Option<Environment>,
    command: Option<PodCommand>,
}

impl ManageRequest {
    /// Asks for this owner's pod, with everything else left open.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            image: None,
            resources: ResourceChanges::default(),
            ports: None,
            environment: None,
            command: None,
        }
    }

    /// Asks for the pod of the project with this id.
    ///
    /// # Errors
    /// When the id can't be used; see [`Owner::project`].
    pub fn project(id: &str) -> Result<Self, Invalid> {
        Owner::project(id).map(Self::new)
    }

    /// Asks for the pod of the conversation with this id.
    ///
    /// # Errors
    /// When the id can't be used; see [`Owner::project`].
    pub fn conversation(id: &str) -> Result<Self, Invalid> {
        Owner::conversation(id).map(Self::new)
    }

    /// The container's image.
    ///
    /// # Errors
    /// When it is not an image reference.
    pub fn image(mut self, image: &str) -> Result<Self, Invalid> {
        self.image = Some(image.parse()?);
        Ok(self)
    }

    /// The most CPU that the container may use, such as `200m`.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn cpu_limit(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.resources.cpu_limit = Some(quantity.parse()?);
        Ok(self)
    }

    /// The most memory that the container may use, such as `200Mi`.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn memory_limit(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.resources.memory_limit = Some(quantity.parse()?);
        Ok(self)
    }

    /// The CPU that is set aside for the container.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn cpu_request(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.resources.cpu_request = Some(quantity.parse()?);
        Ok(self)
    }

    /// The memory that is set aside for the container.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn memory_request(mut self, quantity: &str) -> Result<Self, Invalid> {
        self.resources.memory_request = Some(quantity.parse()?);
        Ok(self)
    }

    /// The container's ports, each to be opened on every node; none at all for an empty list.
    ///
    /// # Errors
    /// When one is not a TCP port.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Result<Self, Invalid> {
        let mut once = Vec::new();
        for port in ports {
            let port = Port::try_from(port)?;
            if !once.contains(&port) {
                once.push(port);
            }
        }
        self.ports = Some(once);
        Ok(self)
    }

    /// All the container's own environment variables; those of an earlier request are dropped.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// What the container runs.
    ///
    /// # Errors
    /// When the argument vector is empty, names no program, or has a NUL byte in a word.
    pub fn command(mut self, command: PodCommand) -> Result<Self, Invalid> {
        if let PodCommand::Argv(words) = &command {
            let refuse = |value: &str, problem: &str| {
                Err(Invalid::new(
                    "command",
                    value,
                    problem,
                    "give a program and its arguments",
                ))
            };
            match words.first() {
                None => return refuse("", "is empty"),
                Some(program) if program.is_empty() => return refuse("", "has no program"),
                Some(_) => {}
            }
            // The word may be secret: it is named by its place.
            if let Some(at) = words.iter().position(|word| word.contains('\0')) {
                return refuse("", &format!("has a NUL byte in its word {}", at + 1));
            }
        }
        self.command = Some(command);
        Ok(self)
    }

    /// Whose pod it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether the request agrees with itself, before anything is known of what there is.
    pub(in crate::pods) fn check(&self) -> Result<(), Invalid> {
        self.resources.check()
    }

    /// What is wanted, given what there is.
    ///
    /// A request for CPU or memory that is left open gives way to a limit that is asked for below it.
    pub(in crate::pods) fn onto(&self, base: &PodSpec) -> Result<PodSpec, Invalid> {
        Ok(PodSpec {
            image: self.image.clone().unwrap_or_else(|| base.image.clone()),
            resources: self.resources.onto(&base.resources)?,
            ports: self.ports.clone().unwrap_or_else(|| base.ports.clone()),
            environment: self
                .environment
                .clone()
                .unwrap_or_else(|| base.environment.clone()),
            command: self.command.clone().unwrap_or_else(|| base.command.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resources;

    fn base() -> PodSpec {
        let quantity = |text: &str| text.parse().unwrap();
        PodSpec {
            image: "busybox:latest".parse().unwrap(),
            resources: Resources::new(
                quantity("200m"),
                "200Mi".parse().unwrap(),
                quantity("100m"),
                "100Mi".parse().unwrap(),
            )
            .unwrap(),
            ports: vec!["8080".parse().unwrap()],
            environment: Environment::new(),
            command: PodCommand::Idle,
        }
    }

    #[test]
    fn what_is_left_open_stays() {
        let spec = ManageRequest::project("p").unwrap().onto(&base()).unwrap();
        assert_eq!(spec, base());
    }

    #[test]
    fn what_is_asked_for_takes_effect() {
        let spec = ManageRequest::project("p")
            .unwrap()
            .image("nginx")
            .unwrap()
            .memory_limit("1Gi")
            .unwrap()
            .ports([80, 80, 443])
            .unwrap()
            .onto(&base())
            .unwrap();
        assert_eq!(spec.image.as_str(), "nginx");
        assert_eq!(spec.resources.memory_limit.to_string(), "1Gi");
        assert_eq!(
            spec.ports
                .iter()
                .map(|port| port.number())
                .collect::<Vec<_>>(),
            [80, 443]
        );
    }

    #[test]
    fn a_lower_limit_takes_an_unspoken_request_with_it_but_not_a_spoken_one() {
        let lower = ManageRequest::project("p")
            .unwrap()
            .memory_limit("50Mi")
            .unwrap();
        let spec = lower.clone().onto(&base()).unwrap();
        assert_eq!(spec.resources.memory_request.to_string(), "50Mi");
        let refused = lower
            .memory_request("60Mi")
            .unwrap()
            .onto(&base())
            .unwrap_err();
        assert_eq!(refused.field(), "memory request");
    }
}
