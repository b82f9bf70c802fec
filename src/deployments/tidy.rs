//! A project's namespace goes when nothing of worth is left in it.

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::Ingress,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{DeploymentManager, scene::named};
use crate::{
    cluster::{Objects, Query, Resource},
    domain::{Owner, OwnerKind, PROJECT_SECRETS},
    error::Error,
    store::DeploymentFilter,
};

/// What controllers put into every namespace: Kubernetes, `OpenShift` and Istio.
const CLUSTERS_OWN: [(&str, &str); 7] = [
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ServiceAccount", "default"),
    ("ServiceAccount", "builder"),
    ("ServiceAccount", "deployer"),
    ("ServiceAccount", "pipeline"),
];
/// The types of the Secrets that hold a service account's token, or its password for `OpenShift`'s registry.
const ACCOUNT_SECRETS: [&str; 2] = [
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockercfg",
];
/// What a Secret carries that a controller has made for a service account.
const OF_ACCOUNT: [&str; 2] = [
    "kubernetes.io/service-account.name",
    "openshift.io/internal-registry-auth-token.service-account",
];

impl DeploymentManager {
    /// Deletes the owner's namespace when nothing is in it that somebody may want; what it is kept for.
    /// At most two trips.
    pub(super) async fn tidy_namespace(&self, owner: &Owner) -> Result<Vec<String>, Error> {
        let namespace = owner.namespace();
        if owner.kind() == OwnerKind::Namespace {
            return Ok(vec!["its creator: berth did not create it".to_owned()]);
        }
        let resources = [
            Resource::DEPLOYMENTS,
            Resource::SERVICES,
            Resource::INGRESSES,
            Resource::JOBS,
            Resource::PODS,
            Resource::CONFIG_MAPS,
            Resource::SECRETS,
            Resource::SERVICE_ACCOUNTS,
            Resource::PERSISTENT_VOLUME_CLAIMS,
        ];
        let query = Query::in_namespace(resources, namespace);
        let mut kept = residents(&self.cluster().find(&[query]).await?)?;
        kept.extend(self.on_record(owner).await?);
        if !kept.is_empty() {
            return Ok(kept);
        }
        let at_most = self.settings().limits.delete;
        let own = Query::namespace(namespace).labelled(owner.selector());
        let deleted = self.cluster().delete(&own, at_most);
        match deleted.await {
            Err(error) => Err(self.site().not_gone(namespace, at_most, error).await),
            Ok(_) => Ok(kept),
        }
    }

    /// What somebody may be about to make in the namespace: the owner's pod and other deployments.
    async fn on_record(&self, owner: &Owner) -> Result<Vec<String>, Error> {
        let filter = DeploymentFilter {
            owner: Some(owner.clone()),
            status: None,
        };
        let deployments = self.store().list_deployments(filter).await?.records;
        let now = chrono::Utc::now();
        let pod = self.store().find(owner).await?;
        let pod = pod.filter(|pod| pod.lease.as_ref().is_some_and(|lease| lease.is_held(now)));
        Ok(deployments
            .into_iter()
            .filter(|it| it.lease.as_ref().is_some_and(|lease| lease.is_held(now)))
            .map(|it| format!("Deployment {}", it.name))
            .chain(pod.map(|_| "Pod workspace".to_owned()))
            .collect())
    }
}

/// Whether a controller has made the Secret for a service account.
fn is_of_account(secret: &Secret) -> bool {
    let annotations = secret.metadata.annotations.iter().flatten();
    let is_typed = ACCOUNT_SECRETS.contains(&secret.type_.as_deref().unwrap_or_default());
    let names_one = annotations.map(|(key, _)| key.as_str());
    is_typed && names_one.into_iter().any(|key| OF_ACCOUNT.contains(&key))
}

/// What is in a namespace, but for what the cluster puts into each.
fn residents(found: &Objects) -> Result<Vec<String>, Error> {
    let mut residents = Vec::new();
    let mut add = |kind: &str, metadata: &ObjectMeta| {
        let is_clusters = CLUSTERS_OWN.contains(&(kind, named(metadata)));
        if !is_clusters && metadata.deletion_timestamp.is_none() {
            residents.push(format!("{kind} {}", named(metadata)));
        }
    };
    for it in found.of::<Deployment>()? {
        add("Deployment", &it.metadata);
    }
    for it in found.of::<Service>()? {
        add("Service", &it.metadata);
    }
    for it in found.of::<Ingress>()? {
        add("Ingress", &it.metadata);
    }
    for it in found.of::<Job>()? {
        add("Job", &it.metadata);
    }
    for it in found.of::<Pod>()? {
        add("Pod", &it.metadata);
    }
    for it in found.of::<ConfigMap>()? {
        add("ConfigMap", &it.metadata);
    }
    for it in found.of::<ServiceAccount>()? {
        add("ServiceAccount", &it.metadata);
    }
    for it in found.of::<PersistentVolumeClaim>()? {
        add("PersistentVolumeClaim", &it.metadata);
    }
    for it in found.of::<Secret>()? {
        let is_empty = it
            .data
            .as_ref()
            .is_none_or(std::collections::BTreeMap::is_empty);
        let is_left_over = is_empty && named(&it.metadata) == PROJECT_SECRETS;
        if !is_left_over && !is_of_account(&it) {
            add("Secret", &it.metadata);
        }
    }
    Ok(residents)
}
