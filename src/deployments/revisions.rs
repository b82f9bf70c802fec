//! The revisions of a deployment: its replica sets, each with a template that it can go back to.

use chrono::{DateTime, Utc};
use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

use super::{DeploymentManager, manager::existing, scene::Scene};
use crate::{
    domain::{ANNOTATION_RELEASE, DeploymentName, DeploymentStatus, Invalid, Owner},
    error::Error,
    store::DeploymentRecord,
};

/// The annotation by which the cluster numbers revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// One revision of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Revision {
    /// Its number, counted by the cluster from 1; a revision that is gone back to gets a new one.
    pub number: i64,
    /// The image of its pods.
    pub image: String,
    /// The mark of its release.
    pub release: Option<String>,
    /// When it was first rolled out.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether it is the one that is wanted now.
    pub current: bool,
    /// How many of its pods are ready.
    pub ready_pods: i32,
}

impl DeploymentManager {
    /// The revisions of a project's deployment, the newest first. One trip.
    ///
    /// # Errors
    /// [`Error::NoDeployment`] when there is none of this name, and others when the cluster can't be
    /// asked.
    pub async fn revisions(
        &self,
        owner: &Owner,
        name: &DeploymentName,
    ) -> Result<Vec<Revision>, Error> {
        let scene = self.look(owner).await?;
        let deployment = existing(&scene, owner, name)?;
        Ok(of(deployment, &scene, name))
    }
}

/// The revisions of this deployment, the newest first.
fn of(deployment: &Deployment, scene: &Scene, name: &DeploymentName) -> Vec<Revision> {
    let current = number(&deployment.metadata);
    let sets = scene.replica_sets(name).into_iter();
    sets.map(|set| Revision {
        number: number(&set.metadata),
        image: image(set).unwrap_or_default().to_owned(),
        release: release(set).map(str::to_owned),
        created_at: created_at(&set.metadata),
        current: number(&set.metadata) == current,
        ready_pods: ready_pods(set),
    })
    .collect()
}

/// The revision of this number.
pub(super) fn revision<'a>(
    sets: &[&'a ReplicaSet],
    wanted: i64,
    current: i64,
) -> Result<&'a ReplicaSet, Invalid> {
    let refuse = |problem: &str| {
        let known: Vec<_> = sets
            .iter()
            .map(|set| number(&set.metadata))
            .filter(|number| *number != current)
            .map(|number| number.to_string())
            .collect();
        let remedy = match known.as_slice() {
            [] => "there is no other one".to_owned(),
            known => format!("use one of these: {}", known.join(", ")),
        };
        Invalid::new("revision", &wanted.to_string(), problem, remedy)
    };
    if wanted == current {
        return Err(refuse("is the current one"));
    }
    let found = sets.iter().find(|set| number(&set.metadata) == wanted);
    found.copied().ok_or_else(|| refuse("is not there"))
}

/// The revision to go back to when none is named: one that serves while the current one does not, or
/// else the one before. The newest stands first.
pub(super) fn earlier<'a>(sets: &[&'a ReplicaSet], current: i64) -> Option<&'a ReplicaSet> {
    let number = |set: &ReplicaSet| number(&set.metadata);
    let earlier = || sets.iter().copied().filter(|set| number(set) < current);
    earlier()
        .find(|set| ready_pods(set) > 0)
        .or_else(|| earlier().next())
}

/// The last revision of another release that is known to have run: pods of it are ready, or it was
/// recorded as running.
pub(super) fn last_good<'a>(
    sets: &[&'a ReplicaSet],
    mark: &str,
    record: &DeploymentRecord,
) -> Option<&'a ReplicaSet> {
    let others = || {
        sets.iter()
            .copied()
            .filter(|set| release(set) != Some(mark))
    };
    others().find(|set| ready_pods(set) > 0).or_else(|| {
        let was_running = record.status == DeploymentStatus::Running;
        others().find(|set| was_running && Some(number(&set.metadata)) == record.revision)
    })
}

/// The number of a revision; 0 when the cluster has not given it one yet.
pub(super) fn number(metadata: &ObjectMeta) -> i64 {
    let annotations = metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(REVISION)?.parse().ok())
        .unwrap_or_default()
}

pub(super) fn image(set: &ReplicaSet) -> Option<&str> {
    let template = set.spec.as_ref()?.template.as_ref()?;
    let container = template.spec.as_ref()?.containers.first()?;
    container.image.as_deref()
}

pub(super) fn release(set: &ReplicaSet) -> Option<&str> {
    let template = set.spec.as_ref()?.template.as_ref()?;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    annotations.get(ANNOTATION_RELEASE).map(String::as_str)
}

fn ready_pods(set: &ReplicaSet) -> i32 {
    let status = set.status.as_ref();
    status
        .and_then(|status| status.ready_replicas)
        .unwrap_or_default()
}

/// When an object was made.
pub(super) fn created_at(metadata: &ObjectMeta) -> Option<DateTime<Utc>> {
    let time = metadata.creation_timestamp.as_ref()?;
    DateTime::from_timestamp(time.0.as_second(), 0)
}
