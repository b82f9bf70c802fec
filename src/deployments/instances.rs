//! What of berth's runs in the cluster, or in one namespace of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod, networking::v1::Ingress},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

use super::{
    DeploymentManager,
    revisions::{self, created_at},
    scene::named,
    seen::doing,
};
use crate::{
    cluster::{Query, Resource},
    domain::{ANNOTATION_OWNER_ID, LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGED_BY, Namespace},
    error::Error,
};

/// What of berth's runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Instances {
    /// Deployments, and the pods of projects and conversations, which are deployments too.
    pub deployments: Vec<DeploymentInstance>,
    /// Their pods, and those of builds.
    pub pods: Vec<PodInstance>,
}

/// A deployment as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeploymentInstance {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The id of the project or conversation.
    pub owner_id: Option<String>,
    /// The image of its pods.
    pub image: String,
    /// How many pods are wanted.
    pub wanted: i32,
    /// How many are available.
    pub available: i32,
    /// The current revision's number.
    pub revision: Option<i64>,
    /// The host names that lead to it.
    pub hosts: Vec<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// A pod as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PodInstance {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The deployment that it belongs to, when it belongs to one.
    pub deployment: Option<String>,
    /// What it does, as a phrase.
    pub state: String,
    /// The image of its first container.
    pub image: String,
    /// How often its containers were started again.
    pub restarts: u32,
    /// The node that it runs on.
    pub node: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

impl DeploymentManager {
    /// Everything of berth's that runs in the namespace, or in all of them. One trip.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub async fn list_instances(&self, namespace: Option<&Namespace>) -> Result<Instances, Error> {
        let resources = [Resource::DEPLOYMENTS, Resource::INGRESSES, Resource::PODS];
        let query = match namespace {
            Some(namespace) => Query::in_namespace(resources, namespace),
            None => Query::everywhere(resources),
        };
        let query = query.labelled(format!("{LABEL_MANAGED_BY}={MANAGED_BY}"));
        let found = self.cluster().find(&[query]).await?;
        let hosts = hosts(&found.of()?);
        let deployments = found.of::<Deployment>()?;
        let pods = found.of::<Pod>()?;
        Ok(Instances {
            deployments: deployments
                .iter()
                .map(|it| deployment(it, &hosts))
                .collect(),
            pods: pods.iter().map(pod).collect(),
        })
    }
}

/// Namespace and deployment's name.
type Place = (String, String);

/// The host names of each deployment.
fn hosts(ingresses: &[Ingress]) -> BTreeMap<Place, Vec<String>> {
    let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ingress in ingresses {
        let Some(name) = deployment_of(&ingress.metadata) else {
            continue;
        };
        let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_ref());
        let named = rules
            .into_iter()
            .flatten()
            .filter_map(|rule| rule.host.clone());
        let place = (namespace(&ingress.metadata), name);
        hosts.entry(place).or_default().extend(named);
    }
    hosts
}

fn deployment(it: &Deployment, hosts: &BTreeMap<Place, Vec<String>>) -> DeploymentInstance {
    let spec = it.spec.as_ref();
    let status = it.status.as_ref();
    let place = (namespace(&it.metadata), named(&it.metadata).to_owned());
    let revision = revisions::number(&it.metadata);
    let annotations = it.metadata.annotations.as_ref();
    let container = spec.and_then(|spec| spec.template.spec.as_ref()?.containers.first());
    DeploymentInstance {
        hosts: hosts.get(&place).cloned().unwrap_or_default(),
        owner_id: annotations
            .and_then(|all| all.get(ANNOTATION_OWNER_ID).cloned())
            // The id of a namespace that berth did not create is its name.
            .filter(|id| *id != place.0),
        namespace: place.0,
        name: place.1,
        image: container
            .and_then(|container| container.image.clone())
            .unwrap_or_default(),
        wanted: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        available: status
            .and_then(|status| status.available_replicas)
            .unwrap_or_default(),
        revision: (revision > 0).then_some(revision),
        created_at: created_at(&it.metadata),
    }
}

fn pod(it: &Pod) -> PodInstance {
    let spec = it.spec.as_ref();
    let container = spec.and_then(|spec| spec.containers.first());
    let statuses = it
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let restarts = statuses.into_iter().flatten().map(|it| it.restart_count);
    PodInstance {
        namespace: namespace(&it.metadata),
        name: named(&it.metadata).to_owned(),
        deployment: deployment_of(&it.metadata),
        state: state(it),
        image: container
            .and_then(|container| container.image.clone())
            .unwrap_or_default(),
        restarts: u32::try_from(restarts.sum::<i32>()).unwrap_or_default(),
        node: spec.and_then(|spec| spec.node_name.clone()),
        created_at: created_at(&it.metadata),
    }
}

/// What a pod does; one that has done all that it was made for has ended well.
fn state(pod: &Pod) -> String {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    match phase {
        Some("Succeeded") => "ended well".to_owned(),
        _ => doing(pod),
    }
}

fn namespace(metadata: &ObjectMeta) -> String {
    metadata.namespace.clone().unwrap_or_default()
}

fn deployment_of(metadata: &ObjectMeta) -> Option<String> {
    metadata.labels.as_ref()?.get(LABEL_DEPLOYMENT).cloned()
}
