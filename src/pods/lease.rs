//! One worker an owner: a turn inside the process, a lease between processes.
//!
//! The lease stands in the owner's record with its holder and time, is renewed while work goes on, and
//! runs out by itself when its holder dies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, task::JoinHandle};

use crate::{
    domain::Namespace,
    store::{Lease, Store, StoreError},
};

/// How long a lease lasts after its last renewal: what the next caller waits when a holder was killed.
pub(super) const TTL: Duration = Duration::from_secs(15);
/// The pause between two renewals.
const RENEWAL: Duration = Duration::from_secs(5);

/// The turns of a process's own callers, so that they queue without asking the database.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Namespace, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for this owner's turn; it ends when the guard is dropped.
    pub(super) async fn take(&self, namespace: &Namespace) -> OwnedMutexGuard<()> {
        self.of(namespace).lock_owned().await
    }

    /// This owner's turn, when nobody else has it.
    pub(super) fn try_take(&self, namespace: &Namespace) -> Option<OwnedMutexGuard<()>> {
        self.of(namespace).try_lock_owned().ok()
    }

    fn of(&self, namespace: &Namespace) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let found = turns.get(namespace).and_then(Weak::upgrade);
        found.unwrap_or_else(|| {
            let turn = Arc::default();
            turns.insert(namespace.clone(), Arc::downgrade(&turn));
            turn
        })
    }
}

/// A lease that renews itself until it is given back.
pub(super) struct HeldLease {
    lease: Lease,
    store: Store,
    renewal: JoinHandle<()>,
    given_back: bool,
}

impl HeldLease {
    pub(super) fn new(lease: Lease, store: Store) -> Self {
        let renewal = tokio::spawn({
            let (lease, store) = (lease.clone(), store.clone());
            async move {
                loop {
                    tokio::time::sleep(RENEWAL).await;
                    match store.renew(&lease, TTL).await {
                        Ok(true) => {}
                        // Whoever took it over may write now; saving under this lease is refused.
                        Ok(false) => return,
                        Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
                    }
                }
            }
        });
        Self {
            lease,
            store,
            renewal,
            given_back: false,
        }
    }

    /// The lease, for writing under it.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Makes sure that the lease is still held; to be asked right before something is changed.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has taken it over.
    pub(super) async fn confirm(&self) -> Result<(), StoreError> {
        if self.store.renew(&self.lease, TTL).await? {
            Ok(())
        } else {
            Err(StoreError::LeaseLost {
                owner: self.lease.owner().clone(),
                by: None,
            })
        }
    }

    /// Gives the lease back, so that the next caller need not wait.
    pub(super) async fn give_back(mut self) {
        self.given_back = true;
        self.renewal.abort();
        if let Err(error) = self.store.release(&self.lease).await {
            tracing::warn!(%error, "a lease could not be given back; it runs out by itself");
        }
    }

    /// The record has been deleted, and the lease with it.
    pub(super) fn gone(mut self) {
        self.given_back = true;
    }
}

/// A caller that was cancelled gives its lease back too.
impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
        if self.given_back {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (lease, store) = (self.lease.clone(), self.store.clone());
            runtime.spawn(async move {
                let _ = store.release(&lease).await;
            });
        }
    }
}
