//! Leases that are kept while work goes on.
//!
//! A lease stands in the records with its holder and time, is renewed here while its holder works, and
//! runs out by itself when its holder dies. A holder that is known to be dead is not waited for.

use std::{future::Future, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    error::Error,
    store::{Lease, LeaseInfo, Life, Lock, Store, StoreError},
};

/// How long a lease lasts after its last renewal: what the next caller waits when a holder was killed.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(15);
/// The pause between two renewals.
const RENEWAL: Duration = Duration::from_secs(5);

/// The first and the longest pause between two looks at another process's lease.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// The wait for a lease that another process holds.
#[derive(Debug)]
pub(crate) struct LeaseWait {
    until: Instant,
    pause: Duration,
    /// Whether a process that is known to be at work is waited for.
    for_the_living: bool,
}

impl LeaseWait {
    /// Waits until the other process is done, for so long.
    #[must_use]
    pub(crate) fn for_turn(at_most: Duration) -> Self {
        let [pause, _] = PAUSES;
        Self {
            until: Instant::now() + at_most,
            pause,
            for_the_living: true,
        }
    }

    /// Waits for the lease of a process that may be dead, no longer than a lease lasts and than this. One
    /// that is known to be at work is not waited for.
    #[must_use]
    pub(crate) fn for_the_dead(at_most: Duration) -> Self {
        Self {
            for_the_living: false,
            ..Self::for_turn(at_most.min(LEASE_TTL))
        }
    }

    /// Says what is waited for, and returns when the lease is to be looked at again.
    ///
    /// # Errors
    /// [`Error::Busy`] when the wait is over; `what` names what is leased.
    pub(crate) async fn next(
        &mut self,
        what: &str,
        by: &LeaseInfo,
        say: impl FnOnce(String),
    ) -> Result<(), Error> {
        let is_alive = by.holder.life() == Life::Alive;
        if Instant::now() >= self.until || is_alive && !self.for_the_living {
            return Err(busy(what, by));
        }
        let until = by.until.format("%T UTC");
        say(if is_alive {
            by.holder.to_string()
        } else {
            format!(
                "{} (its lease ends at {until} if it is not renewed)",
                by.holder
            )
        });
        tokio::time::sleep(self.pause).await;
        let [_, longest] = PAUSES;
        self.pause = (self.pause * 2).min(longest);
        Ok(())
    }
}

fn busy(what: &str, by: &LeaseInfo) -> Error {
    Error::Busy {
        what: what.to_owned(),
        holder: by.holder.to_string(),
        since: by.since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }
}

/// A lease that the records know.
pub(crate) trait Leased: Clone + Send + Sync + 'static {
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
pub(crate) struct Held<L: Leased> {
    lease: L,
    store: Store,
    renewal: JoinHandle<()>,
    given_back: bool,
}

impl<L: Leased> Held<L> {
    /// Keeps this lease from now on.
    #[must_use]
    pub(crate) fn new(lease: L, store: Store) -> Self {
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
    pub(crate) fn lease(&self) -> &L {
        &self.lease
    }

    /// Makes sure that the lease is still held; to be asked right before something is changed.
    ///
    /// # Errors
    /// When somebody else has taken it over, or the records fail.
    pub(crate) async fn confirm(&self) -> Result<(), StoreError> {
        if self.lease.renew(&self.store, LEASE_TTL).await? {
            Ok(())
        } else {
            Err(self.lease.lost())
        }
    }

    /// Gives the lease back, so that the next caller need not wait.
    pub(crate) async fn give_back(mut self) {
        self.given_back = true;
        self.renewal.abort();
        if let Err(error) = self.lease.release(&self.store).await {
            tracing::warn!(%error, "a lease could not be given back; it runs out by itself");
        }
    }

    /// The record has been deleted, and the lease with it.
    pub(crate) fn gone(mut self) {
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
