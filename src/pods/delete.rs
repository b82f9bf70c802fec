//! Deletion: what is berth's goes, is seen gone, and only then is forgotten.

use chrono::Utc;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace as NamespaceObject, PersistentVolumeClaim, Secret},
};

use super::{PodManager, observed::owned_namespace, recorded};
use crate::{
    cluster::{ClusterError, Objects, Query, Resource},
    domain::{
        LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGED_BY, Namespace, Operation, Owner, OwnerLabels,
        PROJECT_SECRETS, Step, Workload,
    },
    engine::{Events, Held, LEASE_TTL, LeaseWait, still_deleting},
    error::Error,
    store::DeploymentFilter,
};

/// What a deletion found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// The owner's namespace.
    pub namespace: String,
    /// Whether there was anything, in the cluster or on record.
    pub was_there: bool,
    /// For what else of the project the namespace was kept: its deployments and secrets. When it is
    /// empty, the namespace is gone.
    pub kept: Vec<String>,
}

impl PodManager {
    /// Deletes an owner's pod and all that came with it, and forgets it once it is seen gone. The
    /// namespace goes with it, unless deployments or secrets of the project are in it.
    /// Two trips to the host. A success when nothing is left, also when there was nothing.
    ///
    /// # Errors
    /// When the cluster or the records fail, or the namespace is not gone within the time limit
    /// ([`Error::StillDeleting`]); the record is then kept. [`Error::OtherHost`] when the pod is on record
    /// in another cluster alone.
    pub async fn delete(&self, owner: &Owner) -> Result<Deleted, Error> {
        let running = self
            .site()
            .begin(Operation::Delete, Workload::pod(owner))
            .await?;
        let done = Box::pin(self.delete_claimed(owner, running.events())).await;
        let result = |deleted: &Deleted| {
            let result = if deleted.was_there {
                "deleted"
            } else {
                "nothing was there"
            };
            Some(result.to_owned())
        };
        running.end(done, result).await
    }

    async fn delete_claimed(&self, owner: &Owner, events: &Events) -> Result<Deleted, Error> {
        let (store, holder) = (self.store(), self.site().holder());
        let wait = LeaseWait::for_turn(self.settings().limits.ready);
        // Also without a record, so that no other process creates what is being deleted.
        let ask = || store.lease(events.workload(), holder, LEASE_TTL);
        let (held, ()) = self.site().claim(wait, events, ask).await?;
        let existed = store.find(owner).await?.is_some();
        let manager = self.steady(self.settings().limits.delete);
        let removed = manager.remove(owner, &held, events).await;
        let removed = match removed {
            Ok(removed) if !existed && !removed.was_there => {
                let records = store.find_in_all_clusters(owner).await?;
                let mut others = records
                    .into_iter()
                    .filter(|it| Some(it.cluster) != store.cluster());
                others
                    .next()
                    .map_or(Ok(removed), |it| Err(self.other_host(it)))
            }
            removed => removed,
        };
        if removed.is_ok() {
            store.delete(held.lease()).await?;
        }
        held.give_back().await;
        let removed = removed?;
        Ok(Deleted {
            namespace: owner.namespace().to_string(),
            was_there: removed.was_there || existed,
            kept: removed.kept,
        })
    }

    /// Forgets an owner's pod without asking any host: for a host that is no more. What is left in its
    /// cluster stays there. Tells whether there was a record.
    ///
    /// # Errors
    /// When the records fail, or somebody works on this pod.
    pub async fn forget(&self, owner: &Owner) -> Result<bool, Error> {
        recorded::forget(self.store(), owner).await
    }

    /// Removes what is the pod's: its namespace with everything in it, or, where deployments or secrets
    /// of the project live in it as well, the pod's own objects.
    async fn remove(&self, owner: &Owner, held: &Held, events: &Events) -> Result<Removed, Error> {
        let namespace = owner.namespace();
        let labels = OwnerLabels::of(owner);
        let at_most = self.settings().limits.delete;
        let found = self.cluster().find(&queries(&namespace, &labels)).await?;
        let is_there = !found.of::<NamespaceObject>()?.is_empty();
        let mut kept = neighbours(&found)?;
        kept.extend(self.being_deployed(owner).await?);
        if !is_there {
            // Somebody else's namespace of the same name is not ours to touch, and not ours at all.
            return Ok(Removed::default());
        }
        events.step(Step::Deleting);
        // Whoever has taken the lease over since may have made what would be deleted.
        held.confirm().await?;
        let deleted = if kept.is_empty() {
            let own = owned_namespace(&namespace, &labels);
            // It was seen: a deletion that was repeated after an outage may find nothing.
            self.cluster().delete(&own, at_most).await.map(|_| true)
        } else {
            let own = Query::in_namespace(OWN, &namespace).labelled(labels.selector());
            let deleted = self.cluster().delete(&own, at_most).await;
            deleted.map(|deleted| !deleted.is_empty())
        };
        match deleted {
            Ok(was_there) => Ok(Removed { was_there, kept }),
            Err(ClusterError::TimedOut { .. }) => {
                Err(still_deleting(self.cluster(), &namespace, at_most).await)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The owner's deployments that somebody is at work on right now: they may not be seen yet.
    async fn being_deployed(&self, owner: &Owner) -> Result<Vec<String>, Error> {
        let filter = DeploymentFilter {
            owner: Some(owner.clone()),
            status: None,
        };
        let now = Utc::now();
        let deployments = self.store().list_deployments(filter).await?.records;
        Ok(deployments
            .into_iter()
            .filter(|it| it.lease.as_ref().is_some_and(|lease| lease.is_held(now)))
            .map(|it| format!("deployment {}", it.name))
            .collect())
    }
}

/// What of an owner's pod is deleted where the namespace is kept.
const OWN: [Resource; 4] = [
    Resource::DEPLOYMENTS,
    Resource::SERVICES,
    Resource::REPLICA_SETS,
    Resource::PODS,
];

/// What was removed, and what was not.
#[derive(Default)]
struct Removed {
    was_there: bool,
    kept: Vec<String>,
}

/// What is looked at before anything is deleted.
pub(super) fn queries(namespace: &Namespace, labels: &OwnerLabels) -> [Query; 4] {
    [
        owned_namespace(namespace, labels),
        Query::in_namespace([Resource::DEPLOYMENTS], namespace).labelled(format!(
            "{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_DEPLOYMENT}"
        )),
        Query::in_namespace([Resource::SECRETS], namespace).named(PROJECT_SECRETS),
        Query::in_namespace([Resource::PERSISTENT_VOLUME_CLAIMS], namespace),
    ]
}

/// What else of the project lives in the pod's namespace.
fn neighbours(found: &Objects) -> Result<Vec<String>, Error> {
    let named = |name: Option<String>| name.unwrap_or_default();
    let deployments = found.of::<Deployment>()?.into_iter();
    let mut kept: Vec<_> = deployments
        .map(|it| format!("deployment {}", named(it.metadata.name)))
        .collect();
    let secrets = found.of::<Secret>()?;
    if secrets
        .iter()
        .any(|it| it.data.as_ref().is_some_and(|data| !data.is_empty()))
    {
        kept.push("the project's secrets".to_owned());
    }
    let claims = found.of::<PersistentVolumeClaim>()?.into_iter();
    kept.extend(claims.map(|it| format!("volume claim {}", named(it.metadata.name))));
    Ok(kept)
}
