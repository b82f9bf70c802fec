//! Leases that are kept while work goes on.
//!
//! A lease stands in the records with its holder and time, is renewed here while its holder works, and
//! runs out by itself when its holder dies.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;

use crate::store::{Lease, Lock, Store, StoreError};

/// How long a lease lasts after its last renewal: what the next caller waits when a holder was killed.
pub const LEASE_TTL: Duration = Duration::from_secs(15);
/// The pause between two renewals.
const RENEWAL: Duration = Duration::from_secs(5);

/// A lease that the records know.
pub trait Leased: Clone + Send + Sync + 'static {
    /// Makes it hold for `ttl` from now on; `false` when it is lost.
    fn renew(
        &self,
        store: &Store,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives it back.
    fn release(&self, store: &Store) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What is to be said when somebody else has taken it over.
    fn lost(&self) -> StoreError;
}

impl Leased for Lease {
    async fn renew(&self, store: &Store, ttl: Duration) -> Result<bool, StoreError> {
        store.renew(self, ttl).await
    }

    async fn release(&self, store: &Store) -> Result<(), StoreError> {
        store.release(self).await
    }

    fn lost(&self) -> StoreError {
        StoreError::LeaseLost {
            owner: self.owner().clone(),
            by: None,
        }
    }
}

impl Leased for Lock {
    async fn renew(&self, store: &Store, ttl: Duration) -> Result<bool, StoreError> {
        store.renew_lock(self, ttl).await
    }

    async fn release(&self, store: &Store) -> Result<(), StoreError> {
        store.unlock(self).await
    }

    fn lost(&self) -> StoreError {
        StoreError::LockLost {
            name: self.name().to_owned(),
            by: None,
        }
    }
}

/// A lease that renews itself until it is given back.
pub struct Held<L: Leased> {
    lease: L,
    store: Store,
    renewal: JoinHandle<()>,
    given_back: bool,
}

impl<L: Leased> Held<L> {
    /// Keeps this lease from now on.
    #[must_use]
    pub fn new(lease: L, store: Store) -> Self {
        let renewal = tokio::spawn({
            let (lease, store) = (lease.clone(), store.clone());
            async move {
                loop {
                    tokio::time::sleep(RENEWAL).await;
                    match lease.renew(&store, LEASE_TTL).await {
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
    pub fn lease(&self) -> &L {
        &self.lease
    }

    /// Makes sure that the lease is still held; to be asked right before something is changed.
    ///
    /// # Errors
    /// When somebody else has taken it over, or the records fail.
    pub async fn confirm(&self) -> Result<(), StoreError> {
        if self.lease.renew(&self.store, LEASE_TTL).await? {
            Ok(())
        } else {
            Err(self.lease.lost())
        }
    }

    /// Gives the lease back, so that the next caller need not wait.
    pub async fn give_back(mut self) {
        self.given_back = true;
        self.renewal.abort();
        if let Err(error) = self.lease.release(&self.store).await {
            tracing::warn!(%error, "a lease could not be given back; it runs out by itself");
        }
    }

    /// The record has been deleted, and the lease with it.
    pub fn gone(mut self) {
        self.given_back = true;
    }
}

/// A caller that was cancelled gives its lease back too.
impl<L: Leased> Drop for Held<L> {
    fn drop(&mut self) {
        self.renewal.abort();
        if self.given_back {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (lease, store) = (self.lease.clone(), self.store.clone());
            runtime.spawn(async move {
                let _ = lease.release(&store).await;
            });
        }
    }
}
