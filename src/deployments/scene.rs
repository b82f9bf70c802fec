//! What there is in a project's namespace, seen at one time.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Namespace as NamespaceObject, Pod, Secret, Service},
        networking::v1::Ingress,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::revisions;
use crate::{
    cluster::{Objects, Query, Resource},
    domain::{
        ANNOTATION_SPEC, DeploymentName, DeploymentSpec, EnvName, LABEL_DEPLOYMENT,
        LABEL_MANAGED_BY, MANAGED_BY, Namespace, PROJECT_SECRETS, Redaction, SecretUse,
        secret_of_set_at_key,
    },
    error::Error,
};

/// What there is in a project's namespace.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) namespace: Option<NamespaceObject>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) replica_sets: Vec<ReplicaSet>,
    pub(super) services: Vec<Service>,
    pub(super) ingresses: Vec<Ingress>,
    pub(super) pods: Vec<Pod>,
    pub(super) secrets: SecretFacts,
}

/// What can be said of a project's secrets; never a value.
#[derive(Debug, Default)]
pub(super) struct SecretFacts {
    /// Size in bytes and time of being set, of each.
    pub(super) entries: BTreeMap<EnvName, SecretFact>,
    /// What no message may hold: their values, also of those that a deployment does not have now.
    pub(super) hidden: Redaction,
}

#[derive(Debug, Clone)]
pub(super) struct SecretFact {
    pub(super) bytes: usize,
    pub(super) set_at: Option<String>,
}

impl Scene {
    /// The objects among those that [`queries`] found.
    pub(super) fn of(found: &Objects) -> Result<Self, Error> {
        Ok(Self {
            namespace: found.of()?.pop(),
            deployments: found.of()?,
            replica_sets: found.of()?,
            services: found.of()?,
            ingresses: found.of()?,
            pods: found.of()?,
            secrets: SecretFacts::of(found.of()?.pop()),
        })
    }

    /// The deployment of this name.
    pub(super) fn deployment(&self, name: &DeploymentName) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|it| belongs_to(&it.metadata, name) && is_named(&it.metadata, name))
    }

    /// Its replica sets, the newest revision first.
    pub(super) fn replica_sets(&self, name: &DeploymentName) -> Vec<&ReplicaSet> {
        let mut found: Vec<_> = self
            .replica_sets
            .iter()
            .filter(|it| belongs_to(&it.metadata, name))
            .collect();
        found.sort_by_key(|it| std::cmp::Reverse(revisions::number(&it.metadata)));
        found
    }

    /// Its Service.
    pub(super) fn service(&self, name: &DeploymentName) -> Option<&Service> {
        self.services
            .iter()
            .find(|it| belongs_to(&it.metadata, name) && is_named(&it.metadata, name))
    }

    /// Its Ingress.
    pub(super) fn ingress(&self, name: &DeploymentName) -> Option<&Ingress> {
        self.ingresses
            .iter()
            .find(|it| belongs_to(&it.metadata, name))
    }

    /// An object that has the deployment's name and is not berth's.
    pub(super) fn foreign(&self, name: &DeploymentName) -> Option<String> {
        let metadata = (self
            .deployments
            .iter()
            .map(|it| ("Deployment", &it.metadata)))
        .chain(self.services.iter().map(|it| ("Service", &it.metadata)))
        .chain(self.ingresses.iter().map(|it| ("Ingress", &it.metadata)));
        metadata
            .filter(|(_, it)| is_named(it, name) && !belongs_to(it, name))
            .map(|(kind, it)| format!("{kind} {}", named(it)))
            .next()
    }

    /// What is there of the deployment, by kind and name.
    pub(super) fn leftovers(&self, name: &DeploymentName) -> impl Iterator<Item = String> {
        (self
            .deployments
            .iter()
            .map(|it| ("Deployment", &it.metadata)))
        .chain(self.services.iter().map(|it| ("Service", &it.metadata)))
        .chain(self.ingresses.iter().map(|it| ("Ingress", &it.metadata)))
        .chain(
            self.replica_sets
                .iter()
                .map(|it| ("ReplicaSet", &it.metadata)),
        )
        .chain(self.pods.iter().map(|it| ("Pod", &it.metadata)))
        .filter(|(_, it)| belongs_to(it, name))
        .map(|(kind, it)| match it.finalizers.as_deref() {
            Some([_, ..]) if it.deletion_timestamp.is_some() => {
                let finalizers = it.finalizers.iter().flatten().cloned();
                let finalizers = finalizers.collect::<Vec<_>>().join(", ");
                format!("{kind} {} (finalizer {finalizers})", named(it))
            }
            _ => format!("{kind} {}", named(it)),
        })
    }
}

/// What is looked at.
pub(super) fn queries(namespace: &Namespace) -> [Query; 4] {
    [
        Query::namespace(namespace),
        Query::in_namespace(
            [
                Resource::DEPLOYMENTS,
                Resource::SERVICES,
                Resource::INGRESSES,
            ],
            namespace,
        )
        .with_managers(),
        Query::in_namespace([Resource::REPLICA_SETS, Resource::PODS], namespace),
        Query::in_namespace([Resource::SECRETS], namespace).named(PROJECT_SECRETS),
    ]
}

impl SecretFacts {
    fn of(secret: Option<Secret>) -> Self {
        let Some(secret) = secret else {
            return Self::default();
        };
        let hidden = redaction(&secret);
        let set_at: BTreeMap<EnvName, String> = (secret.metadata.annotations.into_iter().flatten())
            .filter_map(|(key, time)| Some((secret_of_set_at_key(&key)?, time)))
            .collect();
        let entries = (secret.data.into_iter().flatten())
            .filter_map(|(key, value)| {
                let name: EnvName = key.parse().ok()?;
                let set_at = set_at.get(&name).cloned();
                let bytes = value.0.len();
                Some((name, SecretFact { bytes, set_at }))
            })
            .collect();
        Self { entries, hidden }
    }

    /// Which values a container has that uses them so: another text when one of them is another.
    pub(super) fn version(&self, used: &SecretUse) -> String {
        self.entries
            .iter()
            .filter(|(name, _)| used.takes(name))
            .map(|(name, fact)| format!("{name}={};", fact.set_at.as_deref().unwrap_or_default()))
            .collect()
    }
}

/// What no message may hold of a Secret.
pub(super) fn redaction(secret: &Secret) -> Redaction {
    let mut hidden = Redaction::default();
    for (name, value) in secret.data.iter().flatten() {
        hidden.add_secret(name, &value.0);
    }
    hidden
}

/// What a Deployment or a `ReplicaSet` was rendered from, when berth can tell.
pub(super) fn spec_of(metadata: &ObjectMeta) -> Option<DeploymentSpec> {
    let annotations = metadata.annotations.as_ref()?;
    serde_json::from_str(annotations.get(ANNOTATION_SPEC)?).ok()
}

/// Whether an object is berth's and belongs to this deployment.
pub(super) fn belongs_to(metadata: &ObjectMeta, name: &DeploymentName) -> bool {
    let is = |key: &str, value: &str| {
        let labels = metadata.labels.as_ref();
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
            == Some(value)
    };
    is(LABEL_DEPLOYMENT, name.as_str()) && is(LABEL_MANAGED_BY, MANAGED_BY)
}

fn is_named(metadata: &ObjectMeta, name: &DeploymentName) -> bool {
    metadata.name.as_deref() == Some(name.as_str())
}

pub(super) fn named(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}
