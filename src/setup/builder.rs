//! The place where images are built: made, or brought up to date.

use std::{fmt, time::Duration};

use k8s_openapi::api::core::v1::{
    Namespace as NamespaceObject, Secret as SecretObject, ServiceAccount,
};
use serde::Serialize;

use super::{AwsAccess, RegistryLogin, SetupManager, docker_config};
use crate::{
    cluster::{Query, Resource},
    domain::{
        ANNOTATION_ROLE, AWS_CREDENTIALS, BUILDER_ACCOUNT, LABEL_MANAGED_BY, MANAGED_BY, Namespace,
        Operation, REGISTRY_CREDENTIALS, Workload, WorkloadKind,
    },
    engine::Site,
    error::Error,
    manifest::{BuilderSpec, Manifest, Templates},
    secret::Secret,
};

/// How long the deletion of a Secret may take.
const DELETION: Duration = Duration::from_secs(30);
/// Where a service account names its IAM role, as a JSON pointer.
const ROLE: &str = "/metadata/annotations/eks.amazonaws.com~1role-arn";

/// What the builder's namespace is to have. Credentials that are not named stay as they are.
#[derive(Debug)]
pub struct BuilderSetup {
    /// The namespace.
    pub namespace: Namespace,
    /// How builds get access to AWS.
    pub aws: Option<AwsAccess>,
    /// A login for another registry; logins for others stay.
    pub login: Option<RegistryLogin>,
    /// Whether a namespace that somebody else has made may be used.
    pub adopt: bool,
}

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Change {
    /// It was made.
    Created,
    /// It was there, and something else.
    Updated,
    /// It was as it is to be.
    Unchanged,
    /// It was there, and is not needed any more.
    Deleted,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        })
    }
}

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuilderState {
    /// The namespace.
    pub namespace: String,
    /// What was done to each object, by kind and name.
    pub objects: Vec<(String, Change)>,
    /// The registries for which there are credentials; no secret is among them.
    pub registries: Vec<String>,
    /// Whether builds have access to AWS, by access keys or a role.
    pub has_aws: bool,
    /// Where the access keys come from that were given now, and the key's id; no secret.
    pub aws_keys: Option<String>,
    /// The IAM role of the pods that build.
    pub aws_role: Option<String>,
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
        Ok(templates.builder_manifests(&self.spec(self.aws.as_ref(), docker_config))?)
    }

    fn spec(&self, aws: Option<&AwsAccess>, docker_config: Option<Secret<String>>) -> BuilderSpec {
        let (aws, role_arn) = match aws {
            None => (None, None),
            Some(AwsAccess::Role(role)) => (None, Some(role.clone())),
            Some(AwsAccess::Keys { keys, .. }) => {
                (Some([keys.credentials_file(), keys.config_file()]), None)
            }
        };
        BuilderSpec {
            namespace: self.namespace.clone(),
            aws,
            docker_config,
            role_arn,
        }
    }
}

impl SetupManager {
    /// Creates the builder's namespace, service account and credentials, or updates them. Two round
    /// trips, and one when nothing has to be done. A role replaces access keys, whose Secret is
    /// deleted; access keys that are named replace a role.
    ///
    /// # Errors
    /// [`Error::ForeignNamespace`] when the namespace exists and is not managed by berth; others when
    /// the cluster or the connection to it fails.
    pub async fn builder(&self, setup: &BuilderSetup) -> Result<BuilderState, Error> {
        let name = setup.namespace.to_string();
        let builder = Workload::unowned(WorkloadKind::Builder, Some(name));
        let running = self.site.begin(Operation::SetUp, builder).await?;
        let done = set_up(&self.site, setup).await;
        running.end(done, |_| None).await
    }
}

async fn set_up(site: &Site, setup: &BuilderSetup) -> Result<BuilderState, Error> {
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
    let role = present.role().map(|role| AwsAccess::Role(role.to_owned()));
    let aws = match (&setup.aws, &role) {
        (Some(AwsAccess::Keys { is_default, .. }), Some(role)) if *is_default => Some(role),
        (Some(named), _) => Some(named),
        (None, role) => role.as_ref(),
    };
    let manifests = site
        .templates()
        .builder_manifests(&setup.spec(aws, logins))?;
    let mut changes: Vec<_> = manifests.iter().map(|it| present.change(it)).collect();
    if changes.iter().any(|change| *change != Change::Unchanged) {
        site.cluster().apply(&manifests, false).await?;
    }
    let mut objects: Vec<_> = manifests
        .iter()
        .map(|it| format!("{} {}", it.kind(), it.name()))
        .collect();
    if let Some(AwsAccess::Role(_)) = aws
        && present.secret(AWS_CREDENTIALS).is_some()
    {
        let keys =
            Query::in_namespace([Resource::SECRETS], &setup.namespace).named(AWS_CREDENTIALS);
        site.cluster().delete(&keys, DELETION).await?;
        objects.push(format!("Secret {AWS_CREDENTIALS}"));
        changes.push(Change::Deleted);
    }
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
        objects: objects.into_iter().zip(changes).collect(),
        registries,
        has_aws: aws.is_some() || present.value(AWS_CREDENTIALS, "credentials").is_some(),
        aws_keys: match aws {
            Some(AwsAccess::Keys { keys, source, .. }) => {
                Some(format!("{} of {source}", keys.key_id))
            }
            _ => None,
        },
        aws_role: match aws {
            Some(AwsAccess::Role(role)) => Some(role.clone()),
            _ => None,
        },
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
                Query::namespace(namespace),
                Query::in_namespace([Resource::SERVICE_ACCOUNTS], namespace).named(BUILDER_ACCOUNT),
                Query::in_namespace([Resource::SECRETS], namespace).named(AWS_CREDENTIALS),
                Query::in_namespace([Resource::SECRETS], namespace).named(REGISTRY_CREDENTIALS),
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

    /// The IAM role of the service account.
    fn role(&self) -> Option<&str> {
        let annotations = self.account.as_ref()?.metadata.annotations.as_ref()?;
        annotations.get(ANNOTATION_ROLE).map(String::as_str)
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
        let role = manifest
            .object()
            .pointer(ROLE)
            .and_then(serde_json::Value::as_str);
        let is_same = match (wanted, self.secret(manifest.name())) {
            (Some(wanted), Some(present)) => wanted.data == present.data,
            _ if manifest.kind() == "ServiceAccount" => role == self.role(),
            _ => manifest.kind() != "Namespace" || !self.is_foreign(),
        };
        if is_same {
            Change::Unchanged
        } else {
            Change::Updated
        }
    }
}
