//! The place where images are built: made, or brought up to date.

use std::fmt;

use k8s_openapi::api::core::v1::{
    Namespace as NamespaceObject, Secret as SecretObject, ServiceAccount,
};
use serde::Serialize;

use super::{AwsCredentials, RegistryLogin, docker_config};
use crate::{
    cluster::{Query, Resource},
    domain::{
        AWS_CREDENTIALS, BUILDER_ACCOUNT, LABEL_MANAGED_BY, MANAGED_BY, Namespace,
        REGISTRY_CREDENTIALS,
    },
    error::Error,
    manifest::{BuilderSpec, Manifest, Templates},
    secret::Secret,
    site::Site,
};

/// What the builder's namespace is to have. Credentials that are not named stay as they are.
#[derive(Debug)]
pub struct BuilderSetup {
    /// The namespace.
    pub namespace: Namespace,
    /// Credentials for AWS.
    pub aws: Option<AwsCredentials>,
    /// A login for another registry; logins for others stay.
    pub login: Option<RegistryLogin>,
    /// Whether a namespace that somebody else has made may be used.
    pub adopt: bool,
}

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was made.
    Created,
    /// It was there, and something else.
    Updated,
    /// It was as it is to be.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        })
    }
}

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuilderState {
    /// The namespace.
    pub namespace: String,
    /// What was done to each object, by kind and name.
    pub objects: Vec<(String, Change)>,
    /// The registries for which there are credentials; no secret is among them.
    pub registries: Vec<String>,
    /// Whether there are credentials for AWS.
    pub has_aws: bool,
}

impl BuilderSetup {
    /// The manifests of what is named, for a cluster that has nothing yet.
    ///
    /// # Errors
    /// When a template can't be used.
    pub fn manifests(&self, templates: &Templates) -> Result<Vec<Manifest>, Error> {
        let docker_config = match &self.login {
            Some(login) => Some(docker_config::with_login(None, login)?),
            None => None,
        };
        Ok(templates.builder_manifests(&self.spec(docker_config))?)
    }

    fn spec(&self, docker_config: Option<Secret<String>>) -> BuilderSpec {
        let aws = self.aws.as_ref();
        BuilderSpec {
            namespace: self.namespace.clone(),
            aws: aws.map(|aws| [aws.credentials_file(), aws.config_file()]),
            docker_config,
        }
    }
}

/// Makes the builder's namespace, service account and credentials, or brings them up to date. Two trips,
/// and one when nothing is to be done.
///
/// # Errors
/// [`Error::ForeignNamespace`] when somebody else made the namespace; others when the cluster or the
/// way to it fails.
pub async fn setup_builder(site: &Site, setup: &BuilderSetup) -> Result<BuilderState, Error> {
    let present = Present::find(site, &setup.namespace).await?;
    if present.is_foreign() && !setup.adopt {
        return Err(Error::ForeignNamespace {
            namespace: setup.namespace.to_string(),
        });
    }
    let logins = match &setup.login {
        Some(login) => Some(docker_config::with_login(
            present.value(REGISTRY_CREDENTIALS, ".dockerconfigjson"),
            login,
        )?),
        None => None,
    };
    let manifests = site.templates().builder_manifests(&setup.spec(logins))?;
    let changes: Vec<_> = manifests.iter().map(|it| present.change(it)).collect();
    if changes.iter().any(|change| *change != Change::Unchanged) {
        site.cluster().apply(&manifests, false).await?;
    }
    let sent = |name: &str| {
        manifests
            .iter()
            .any(|it| it.kind() == "Secret" && it.name() == name)
    };
    let mut registries = docker_config::servers(
        present
            .value(REGISTRY_CREDENTIALS, ".dockerconfigjson")
            .unwrap_or_default(),
    );
    if let Some(login) = &setup.login
        && !registries.contains(&login.server)
    {
        registries.push(login.server.clone());
    }
    Ok(BuilderState {
        namespace: setup.namespace.to_string(),
        objects: manifests
            .iter()
            .map(|it| format!("{} {}", it.kind(), it.name()))
            .zip(changes)
            .collect(),
        registries,
        has_aws: sent(AWS_CREDENTIALS) || present.value(AWS_CREDENTIALS, "credentials").is_some(),
    })
}

/// What is there already.
struct Present {
    namespace: Option<NamespaceObject>,
    account: Option<ServiceAccount>,
    secrets: Vec<SecretObject>,
}

impl Present {
    async fn find(site: &Site, namespace: &Namespace) -> Result<Self, Error> {
        let found = site
            .cluster()
            .find(&[
                Query::everywhere([Resource::Namespaces]).named(namespace.as_str()),
                Query::in_namespace([Resource::ServiceAccounts], namespace).named(BUILDER_ACCOUNT),
                Query::in_namespace([Resource::Secrets], namespace).named(AWS_CREDENTIALS),
                Query::in_namespace([Resource::Secrets], namespace).named(REGISTRY_CREDENTIALS),
            ])
            .await?;
        Ok(Self {
            namespace: found.of()?.pop(),
            account: found.of()?.pop(),
            secrets: found.of()?,
        })
    }

    fn is_foreign(&self) -> bool {
        let labels = |namespace: &NamespaceObject| namespace.metadata.labels.clone();
        self.namespace.as_ref().is_some_and(|namespace| {
            labels(namespace)
                .unwrap_or_default()
                .get(LABEL_MANAGED_BY)
                .is_none_or(|by| by != MANAGED_BY)
        })
    }

    fn secret(&self, name: &str) -> Option<&SecretObject> {
        let mut secrets = self.secrets.iter();
        secrets.find(|secret| secret.metadata.name.as_deref() == Some(name))
    }

    fn value(&self, name: &str, key: &str) -> Option<&[u8]> {
        let data = self.secret(name)?.data.as_ref()?;
        data.get(key).map(|value| value.0.as_slice())
    }

    /// What applying this manifest will do.
    fn change(&self, manifest: &Manifest) -> Change {
        let is_there = match manifest.kind() {
            "Namespace" => self.namespace.is_some(),
            "ServiceAccount" => self.account.is_some(),
            _ => self.secret(manifest.name()).is_some(),
        };
        if !is_there {
            return Change::Created;
        }
        let wanted: Option<SecretObject> = (manifest.kind() == "Secret")
            .then(|| serde_json::from_value(manifest.object().clone()).ok())
            .flatten();
        let is_same = match (wanted, self.secret(manifest.name())) {
            (Some(wanted), Some(present)) => wanted.data == present.data,
            _ => manifest.kind() != "Namespace" || !self.is_foreign(),
        };
        if is_same {
            Change::Unchanged
        } else {
            Change::Updated
        }
    }
}
