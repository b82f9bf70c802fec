//! Deletion: what is berth's goes, is seen gone, and only then is forgotten.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace as NamespaceObject, PersistentVolumeClaim, Secret},
};

use super::{PodManager, observed::owned_namespace, recorded};
use crate::{
    cluster::{Objects, Query, Resource},
    domain::{
        LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGED_BY, Operation, Owner, PROJECT_SECRETS, Step,
        Workload,
    },
    engine::{Change, LEASE_TTL, LeaseWait, Work},
    error::Error,
    store::{Claim, DeploymentFilter, Holder, Store, StoreError},
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
        let delete = Delete {
            manager: self,
            owner,
        };
        self.site().perform(&delete).await
    }

    /// Forgets an owner's pod without asking any host: for a host that is no more. What is left in its
    /// cluster stays there. Tells whether there was a record.
    ///
    /// # Errors
    /// When the records fail, or another process works on this pod.
    pub async fn forget(&self, owner: &Owner) -> Result<bool, Error> {
        recorded::forget(self.store(), owner).await
    }
}

/// A pod that is to be gone: with its namespace, or, where deployments or secrets of the project are in it,
/// by its own objects.
struct Delete<'a> {
    manager: &'a PodManager,
    owner: &'a Owner,
}

/// What there is.
struct Found {
    is_on_record: bool,
    /// Whether the owner has a namespace. Another's of the same name is not ours to touch.
    is_there: bool,
    kept: Vec<String>,
}

#[async_trait]
impl Change for Delete<'_> {
    type Record = ();
    type Scene = Found;
    type Plan = Option<Query>;
    /// Whether anything was deleted.
    type End = bool;
    type Done = Deleted;

    fn operation(&self) -> Operation {
        Operation::Delete
    }

    fn workload(&self) -> Workload {
        Workload::pod(self.owner)
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.manager.settings().limits.delete)
    }

    fn lease_wait(&self) -> LeaseWait {
        LeaseWait::for_turn(self.manager.settings().limits.ready)
    }

    /// Also without a record, so that no other process creates what is being deleted.
    async fn claim(&self, store: &Store, holder: &Holder) -> Result<Claim, StoreError> {
        store.lease(&self.workload(), holder, LEASE_TTL).await
    }

    async fn observe(&self, work: &Work<'_>) -> Result<Found, Error> {
        let is_on_record = work.store().find(self.owner).await?.is_some();
        let queries = queries(self.owner);
        let found = work.cluster().find(&queries).await?;
        let mut kept = neighbours(&found)?;
        kept.extend(self.being_deployed(work.store()).await?);
        Ok(Found {
            is_on_record,
            is_there: !found.of::<NamespaceObject>()?.is_empty(),
            kept,
        })
    }

    fn plan(&self, (): &(), found: &Found) -> Result<Option<Query>, Error> {
        Ok(found.is_there.then(|| match found.kept.as_slice() {
            [] => owned_namespace(self.owner),
            _ => Query::in_namespace(OWN, self.owner.namespace()).labelled(self.owner.selector()),
        }))
    }

    async fn apply(&self, _: &Work<'_>, _: &Found, _: &mut Option<Query>) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(
        &self,
        work: &Work<'_>,
        found: &Found,
        query: &mut Option<Query>,
    ) -> Result<bool, Error> {
        let Some(query) = query else {
            return Ok(false);
        };
        let at_most = self.manager.settings().limits.delete;
        work.events().step(Step::Deleting);
        match work.delete(query, at_most).await {
            Err(Error::Cluster(error)) => Err(work
                .site()
                .not_gone(self.owner.namespace(), at_most, error)
                .await),
            // A deletion whose answer was lost finds nothing when it is repeated: the namespace was seen.
            deleted => Ok(!deleted?.is_empty() || found.kept.is_empty()),
        }
    }

    async fn record(
        &self,
        work: &Work<'_>,
        (): &(),
        found: &Found,
        _: &Option<Query>,
        was_there: bool,
    ) -> Result<Deleted, Error> {
        let store = work.store();
        if !found.is_on_record && !was_there {
            let records = store.find_in_all_clusters(self.owner).await?;
            let mut records = records.into_iter();
            if let Some(other) = records.find(|it| Some(it.cluster) != store.cluster()) {
                return Err(self.manager.other_host(other));
            }
        }
        store.delete(work.lease()).await?;
        Ok(Deleted {
            namespace: self.owner.namespace().to_string(),
            was_there: was_there || found.is_on_record,
            kept: if found.is_there {
                found.kept.clone()
            } else {
                Vec::new()
            },
        })
    }

    fn result(deleted: &Deleted) -> Option<String> {
        let result = if deleted.was_there {
            "deleted"
        } else {
            "nothing was there"
        };
        Some(result.to_owned())
    }
}

impl Delete<'_> {
    /// The owner's deployments that another process works on now: they may not exist yet.
    async fn being_deployed(&self, store: &Store) -> Result<Vec<String>, Error> {
        let filter = DeploymentFilter {
            owner: Some(self.owner.clone()),
            status: None,
        };
        let now = Utc::now();
        let deployments = store.list_deployments(filter).await?.records;
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

/// What is looked at before anything is deleted.
pub(super) fn queries(owner: &Owner) -> [Query; 4] {
    let namespace = owner.namespace();
    [
        owned_namespace(owner),
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
