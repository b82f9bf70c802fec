//! Deletion: what is berth's goes, is seen gone, and only then is forgotten.

use super::{PodManager, Progress, Silent, Step, lease::HeldLease, recorded};
use crate::{
    domain::{Owner, OwnerLabels},
    error::Error,
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
    /// ([`Error::StillDeleting`]); the record is then kept. So it is when the pod was recorded on
    /// another host and is not in this one's cluster ([`Error::OtherHost`]).
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
        let _turn = self.take_turn(owner, progress).await?;
        // Without a record one is made, so that nobody creates what is being deleted.
        let (record, held, existed) = self.claim(owner, &self.new_record(), progress).await?;
        let removed = self.remove(owner, &held, progress).await;
        let removed = match removed {
            Ok(false) if existed => self.if_elsewhere(&record).map(|()| false),
            removed => removed,
        };
        let nothing_is_left = removed.is_ok();
        if nothing_is_left || !existed {
            self.store().delete(held.lease()).await?;
            held.gone();
        } else {
            held.give_back().await;
        }
        Ok(Deleted {
            namespace: owner.namespace().to_string(),
            was_there: removed? || existed,
        })
    }

    /// Forgets an owner's pod without asking any host: for a host that is no more. What is left in its
    /// cluster stays there. Tells whether there was a record.
    ///
    /// # Errors
    /// When the records fail, or somebody works on this pod.
    pub async fn forget(&self, owner: &Owner) -> Result<bool, Error> {
        recorded::forget_in(self.store(), owner).await
    }

    /// Whether there was something to remove.
    async fn remove(
        &self,
        owner: &Owner,
        held: &HeldLease,
        progress: &dyn Progress,
    ) -> Result<bool, Error> {
        let namespace = owner.namespace();
        let labels = OwnerLabels::of(owner);
        let at_most = self.settings().limits.delete;
        progress.step(&Step::Deleting);
        // Whoever has taken the lease over since may have made what would be deleted.
        held.confirm().await?;
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
