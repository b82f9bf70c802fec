//! A project's secrets: set, listed by name, taken away. Their values are never read back.
//!
//! All are in one Secret of the project's namespace, each applied by a field manager of its own: who
//! sets one leaves the others as they are, also at the same time.

use std::{fmt, str::FromStr};

use chrono::Utc;
use serde::Serialize;

use super::{
    DeploymentManager,
    scene::{Scene, named, spec_of},
};
use crate::{
    domain::{
        EnvName, Invalid, Operation, Owner, PROJECT_SECRETS, SecretUse, Workload, WorkloadKind,
    },
    engine::Events,
    error::Error,
    manifest::SecretEntry,
    secret::Secret,
};

/// The most that a Secret may hold, in bytes: keys and values
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size>).
const MOST_BYTES: usize = 1024 * 1024;
/// The longest name: it is part of an annotation's, which has 63 characters at most.
const LONGEST_NAME: usize = 56;

/// The name of a project's secret: that of the environment variable by which deployments have it, of at
/// most 56 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(EnvName);

impl FromStr for SecretName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name: EnvName = text.parse::<EnvName>().map_err(|it| it.named("secret"))?;
        if text.len() > LONGEST_NAME {
            return Err(Invalid::new(
                "secret",
                text,
                format!("has more than {LONGEST_NAME} characters"),
                "use a shorter name",
            ));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SecretName {
    /// The variable's name.
    #[must_use]
    pub fn as_variable(&self) -> &EnvName {
        &self.0
    }

    fn field_manager(&self) -> String {
        format!("berth-secret-{}", self.0)
    }
}

/// A project's secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProjectSecret {
    /// Its name.
    pub name: String,
    /// The size of its value in bytes.
    pub bytes: usize,
    /// When it was set (RFC 3339), when berth has set it.
    pub set_at: Option<String>,
    /// The deployments that have it.
    pub used_by: Vec<String>,
}

/// A secret that has been set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SecretSet {
    /// Whether there was one of this name before.
    pub replaced: bool,
    /// The deployments that have an older value until they are restarted or deployed again.
    pub used_by: Vec<String>,
}

/// A secret that has been taken away.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SecretUnset {
    /// Whether there was one.
    pub was_there: bool,
    /// The deployments that have it until they are restarted or deployed again.
    pub used_by: Vec<String>,
}

/// Manages the secrets of all projects on one cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SecretManager(DeploymentManager);

impl SecretManager {
    /// Returns a manager of the secrets that these deployments get.
    pub(crate) fn new(deployments: DeploymentManager) -> Self {
        Self(deployments)
    }

    fn steady(&self) -> Self {
        Self(self.0.steady(self.0.settings().limits.delete))
    }

    /// Sets one of a project's secrets, at most 1 MiB together with all others. The namespace is made
    /// when it is missing. Two trips to the host.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is too large, or no environment variable can have the value, which is how
    /// deployments get it; others when the cluster can't be asked or refuses.
    pub async fn set(
        &self,
        owner: &Owner,
        name: &SecretName,
        value: Secret<Vec<u8>>,
    ) -> Result<SecretSet, Error> {
        check_size(name, value.expose().len(), 0)?;
        check_value(name, &value)?;
        let secret = Workload::named(WorkloadKind::Secret, owner, name);
        let running = self.0.site().begin(Operation::SetSecret, secret).await?;
        let done = Box::pin(self.set_checked(owner, name, value, running.events())).await;
        let result = |set: &SecretSet| {
            let result = if set.replaced { "replaced" } else { "set" };
            Some(result.to_owned())
        };
        running.end(done, result).await
    }

    async fn set_checked(
        &self,
        owner: &Owner,
        name: &SecretName,
        value: Secret<Vec<u8>>,
        events: &Events,
    ) -> Result<SecretSet, Error> {
        let this = self.steady();
        let scene = this
            .0
            .observe(owner, this.0.settings().limits.delete, events)
            .await?;
        let others = scene
            .secrets
            .entries
            .iter()
            .filter(|(it, _)| **it != name.0);
        let others = others
            .map(|(it, fact)| it.as_str().len() + fact.bytes)
            .sum();
        check_size(name, value.expose().len(), others)?;
        if scene.namespace.is_none() {
            let namespace = this.0.site().templates().namespace_manifest(owner)?;
            this.0.cluster().apply(&[namespace], false).await?;
        }
        this.apply_secret(owner, name, &value).await?;
        Ok(SecretSet {
            replaced: scene.secrets.entries.contains_key(&name.0),
            used_by: users(&scene, &name.0),
        })
    }

    /// The project's secrets in the order of their names. One trip.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub async fn list(&self, owner: &Owner) -> Result<Vec<ProjectSecret>, Error> {
        let scene = self.0.look(owner).await?;
        let entries = scene.secrets.entries.iter();
        Ok(entries
            .map(|(name, fact)| ProjectSecret {
                name: name.to_string(),
                bytes: fact.bytes,
                set_at: fact.set_at.clone(),
                used_by: users(&scene, name),
            })
            .collect())
    }

    /// Takes one of a project's secrets away, also when others have set it. Three trips to the host, and
    /// three more when they have.
    ///
    /// # Errors
    /// [`Error::SecretInUse`] when a deployment asks for it by name and could not start its next pod
    /// without it, unless it is forced; [`Error::Invalid`] when somebody sets it anew; others when the cluster can't be asked or refuses.
    pub async fn unset(
        &self,
        owner: &Owner,
        name: &SecretName,
        force: bool,
    ) -> Result<SecretUnset, Error> {
        let secret = Workload::named(WorkloadKind::Secret, owner, name);
        let running = self.0.site().begin(Operation::UnsetSecret, secret).await?;
        let done = Box::pin(self.unset_now(owner, name, force)).await;
        let result = |unset: &SecretUnset| {
            let result = if unset.was_there {
                "deleted"
            } else {
                "nothing was there"
            };
            Some(result.to_owned())
        };
        running.end(done, result).await
    }

    async fn unset_now(
        &self,
        owner: &Owner,
        name: &SecretName,
        force: bool,
    ) -> Result<SecretUnset, Error> {
        let this = self.steady();
        let scene = this.0.look(owner).await?;
        if !scene.secrets.entries.contains_key(&name.0) {
            return Ok(SecretUnset {
                was_there: false,
                used_by: Vec::new(),
            });
        }
        let by: Vec<_> = specs(&scene)
            .filter(|(_, used)| matches!(used, SecretUse::Named(names) if names.contains(&name.0)))
            .map(|(name, _)| name)
            .collect();
        if !by.is_empty() && !force {
            let name = name.to_string();
            return Err(Error::SecretInUse { name, by });
        }
        this.let_go(owner, name).await?;
        if this.has_secret(owner, name).await? {
            // Others have set it too, as with kubectl. Another value makes it berth's alone.
            let value = Secret::new(format!("unset at {}", Utc::now()).into_bytes());
            this.apply_secret(owner, name, &value).await?;
            this.let_go(owner, name).await?;
            if this.has_secret(owner, name).await? {
                return Err(held_by_others(owner, name).into());
            }
        }
        Ok(SecretUnset {
            was_there: true,
            used_by: users(&scene, &name.0),
        })
    }

    async fn apply_secret(
        &self,
        owner: &Owner,
        name: &SecretName,
        value: &Secret<Vec<u8>>,
    ) -> Result<(), Error> {
        let entry = SecretEntry {
            name: &name.0,
            value,
            set_at: Utc::now(),
        };
        let templates = self.0.site().templates();
        let manifest = templates.project_secret_manifest(owner, Some(&entry))?;
        let manager = name.field_manager();
        self.0.cluster().apply_as(&manager, &[manifest]).await?;
        Ok(())
    }

    /// Says that berth does not want this secret any more; who else has set it keeps it.
    async fn let_go(&self, owner: &Owner, name: &SecretName) -> Result<(), Error> {
        let templates = self.0.site().templates();
        let manifest = templates.project_secret_manifest(owner, None)?;
        let manager = name.field_manager();
        self.0.cluster().apply_as(&manager, &[manifest]).await?;
        Ok(())
    }

    async fn has_secret(&self, owner: &Owner, name: &SecretName) -> Result<bool, Error> {
        let scene = self.0.look(owner).await?;
        Ok(scene.secrets.entries.contains_key(&name.0))
    }
}

fn held_by_others(owner: &Owner, name: &SecretName) -> Invalid {
    let namespace = owner.namespace();
    Invalid::new(
        "secret",
        name.0.as_str(),
        "is still there: somebody else sets it again",
        format!(
            "see who with `kubectl get secret {PROJECT_SECRETS} -n {namespace} -o yaml \
             --show-managed-fields`"
        ),
    )
}

/// A value that no environment variable can have keeps every pod of the project from starting.
fn check_value(name: &SecretName, value: &Secret<Vec<u8>>) -> Result<(), Invalid> {
    let refused = name.as_variable().check_value(value.expose());
    refused.map_err(|it| {
        it.named("secret").with_remedy(
            "set it as base64 text; or create a Secret with `kubectl create secret generic NAME \
             --from-file=FILE`, and mount it as a volume of the deployment",
        )
    })
}

fn check_size(name: &SecretName, bytes: usize, others: usize) -> Result<(), Invalid> {
    let all = name.0.as_str().len() + bytes + others;
    if all <= MOST_BYTES {
        return Ok(());
    }
    let problem = if others > 0 {
        format!("is too large beside the others: together they would have {all} bytes")
    } else {
        format!("is too large: it has {bytes} bytes")
    };
    Err(Invalid::new(
        "secret",
        name.0.as_str(),
        problem,
        format!(
            "a project's secrets may have {MOST_BYTES} bytes in all; keep large ones elsewhere"
        ),
    ))
}

/// Each deployment of the project, and which secrets it has.
fn specs(scene: &Scene) -> impl Iterator<Item = (String, SecretUse)> {
    scene.deployments.iter().filter_map(|it| {
        let spec = spec_of(&it.metadata)?;
        Some((named(&it.metadata).to_owned(), spec.secrets))
    })
}

fn users(scene: &Scene, name: &EnvName) -> Vec<String> {
    specs(scene)
        .filter(|(_, used)| used.takes(name))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{secret_of_set_at_key, secret_set_at_key};

    #[test]
    fn names_are_keys_of_a_secret_and_of_an_annotation() {
        for text in [
            "my.key",
            "my-key",
            ".hidden",
            "A_",
            "-",
            "a.at",
            &"a".repeat(56),
        ] {
            let name: SecretName = text.parse().unwrap();
            let key = secret_set_at_key(name.as_variable());
            let annotation = key.strip_prefix("berth.dev/").unwrap();
            assert!(annotation.len() <= 63, "{annotation}");
            assert_eq!(
                secret_of_set_at_key(&key).as_ref(),
                Some(name.as_variable())
            );
        }
        for text in ["", "a b", "1a", "..", "..a", "a/b", &"a".repeat(57)] {
            assert!(text.parse::<SecretName>().is_err(), "{text}");
        }
    }
}
