//! Deletion: what is berth's goes, is seen gone, and only then is forgotten.

use super::{
    PodManager, Progress, Silent, Step,
    lease::{HeldLease, TTL},
    manager::LeaseWait,
};
use crate::{
    domain::{Owner, OwnerLabels},
    error::Error,
    store::Claim,
};

/// What a deletion found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The owner's namespace.
    pub namespace: String,
    /// Whether there was anything, in the cluster or on record.
    pub was_there: bool,
}

impl PodManager {
    /// Deletes an owner's pod and all that came with it, and forgets it once it is seen gone.
    /// Two trips to the host. A success when nothing is left, also when there was nothing.
    ///
    /// # Errors
    /// When the cluster or the records fail, or the namespace is not gone within the time limit
    /// ([`Error::StillDeleting`]); the record is then kept.
    pub async fn delete(&self, owner: &Owner) -> Result<Deleted, Error> {
        self.delete_with(owner, &Silent).await
    }

    /// As [`PodManager::delete`], and tells of each step.
    ///
    /// # Errors
    /// As [`PodManager::delete`].
    pub async fn delete_with(
        &self,
        owner: &Owner,
        progress: &dyn Progress,
    ) -> Result<Deleted, Error> {
        let namespace = owner.namespace();
        let _turn = self.turns().take(&namespace).await;
        let held = self.lease_of_record(owner, progress).await?;
        let removed = self.remove(owner, progress).await;
        match (removed, held) {
            (Ok(was_there), None) => Ok(Deleted {
                namespace: namespace.to_string(),
                was_there,
            }),
            (Ok(_), Some(held)) => {
                self.store().delete(held.lease()).await?;
                held.gone();
                Ok(Deleted {
                    namespace: namespace.to_string(),
                    was_there: true,
                })
            }
            (Err(error), held) => {
                if let Some(held) = held {
                    held.give_back().await;
                }
                Err(error)
            }
        }
    }

    async fn lease_of_record(
        &self,
        owner: &Owner,
        progress: &dyn Progress,
    ) -> Result<Option<HeldLease>, Error> {
        let mut wait = LeaseWait::new(self.settings().limits.delete);
        loop {
            let store = self.store();
            match store.find_and_lease(owner, self.holder(), TTL).await? {
                None => return Ok(None),
                Some(Claim::Taken { lease, .. }) => {
                    return Ok(Some(HeldLease::new(lease, store.clone())));
                }
                Some(Claim::Held { by, .. }) => wait.next(owner, &by, progress).await?,
            }
        }
    }

    /// Whether there was something to remove.
    async fn remove(&self, owner: &Owner, progress: &dyn Progress) -> Result<bool, Error> {
        let namespace = owner.namespace();
        let labels = OwnerLabels::of(owner);
        let at_most = self.settings().limits.delete;
        progress.step(&Step::Deleting);
        let deleted = self
            .cluster()
            .delete_namespace(&namespace, &labels, at_most)
            .await?;
        let left = self.cluster().find_namespace(&namespace).await?;
        match left {
            Some(left) if labels.mark(Some(&left.labels)) => Err(Error::StillDeleting {
                namespace: namespace.to_string(),
                seconds: at_most.as_secs(),
            }),
            // Somebody else's namespace of the same name is not ours to touch, and not ours at all.
            Some(_) | None => Ok(deleted),
        }
    }
}
