//! Leases that are kept while work goes on.
//!
//! A lease stands in the records with its holder and time, is renewed here while its holder works, and
//! runs out by itself when its holder dies. A holder that is known to be dead is not waited for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedMutexGuard, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{Events, Site};
use crate::{
    domain::{Step, Workload},
    error::Error,
    store::{Claim, Lease, LeaseInfo, Life, Store, StoreError},
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
    /// What the caller was told last.
    said: String,
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
            said: String::new(),
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
    /// [`Error::Busy`] when the wait is over.
    pub(crate) async fn next(
        &mut self,
        workload: &Workload,
        by: &LeaseInfo,
        say: impl FnOnce(String),
    ) -> Result<(), Error> {
        let is_alive = by.holder.life() == Life::Alive;
        if Instant::now() >= self.until || is_alive && !self.for_the_living {
            return Err(Error::Busy {
                what: format!("the {workload}"),
                holder: by.holder.to_string(),
                since: by.since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            });
        }
        let until = by.until.format("%T UTC");
        let words = if is_alive {
            by.holder.to_string()
        } else {
            format!(
                "{} (its lease ends at {until} if it is not renewed)",
                by.holder
            )
        };
        if self.said != words {
            self.said.clone_from(&words);
            say(words);
        }
        tokio::time::sleep(self.pause).await;
        let [_, longest] = PAUSES;
        self.pause = (self.pause * 2).min(longest);
        Ok(())
    }
}

impl Site {
    /// Takes the lease on an operation's workload as `ask` asks for it, and waits while another caller has it.
    /// The callers of one process queue without asking the database.
    ///
    /// # Errors
    /// [`Error::Busy`] when the wait is over; others when the records fail.
    pub(crate) async fn claim<R, A>(
        &self,
        mut wait: LeaseWait,
        events: &Events,
        ask: impl Fn() -> A,
    ) -> Result<(Held, R), Error>
    where
        A: Future<Output = Result<Claim<R>, StoreError>>,
    {
        let workload = events.workload();
        let say = |holder| events.step(Step::Queued { holder });
        let turn = self.turns().of(workload);
        let turn = match Arc::clone(&turn).try_lock_owned() {
            Ok(turn) => Some(turn),
            Err(_) if wait.for_the_living => {
                say(self.holder().to_string());
                let turn = tokio::time::timeout_at(wait.until, turn.lock_owned());
                turn.await.ok()
            }
            Err(_) => None,
        };
        loop {
            match ask().await? {
                Claim::Taken(lease, record) => {
                    let held = Held::new(lease, self.store().clone(), turn);
                    return Ok((held, record));
                }
                Claim::Held(by) => wait.next(workload, &by, say).await?,
            }
        }
    }
}

/// The turns of a process's own callers, by what they ask the lease on.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, workload: &Workload) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let key = workload.key();
        let found = turns.get(&key).and_then(Weak::upgrade);
        found.unwrap_or_else(|| {
            let turn = Arc::default();
            turns.insert(key, Arc::downgrade(&turn));
            turn
        })
    }
}

/// A lease that renews itself until it is given back.
pub(crate) struct Held {
    lease: Lease,
    store: Store,
    renewal: JoinHandle<()>,
    /// Becomes true when another process has taken the lease over.
    lost: watch::Receiver<bool>,
    given_back: bool,
    /// The turn in this process ends with the lease.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Held {
    fn new(lease: Lease, store: Store, turn: Option<OwnedMutexGuard<()>>) -> Self {
        let (loses, lost) = watch::channel(false);
        let renewal = tokio::spawn({
            let (lease, store) = (lease.clone(), store.clone());
            async move {
                loop {
                    tokio::time::sleep(RENEWAL).await;
                    match store.renew(&lease, LEASE_TTL).await {
                        Ok(true) => {}
                        // Another process may write now; saving under this lease is refused.
                        Ok(false) => {
                            loses.send_replace(true);
                            return;
                        }
                        Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
                    }
                }
            }
        });
        Self {
            lease,
            store,
            renewal,
            lost,
            given_back: false,
            _turn: turn,
        }
    }

    /// The lease, for writing under it.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Makes sure that the lease is still held; to be asked right before something is changed.
    ///
    /// # Errors
    /// When another process has taken it over, or the records fail.
    pub(crate) async fn confirm(&self) -> Result<(), StoreError> {
        if self.store.renew(&self.lease, LEASE_TTL).await? {
            Ok(())
        } else {
            Err(self.lost_error())
        }
    }

    /// Makes a change while the lease is held. The change is dropped, during an outage for example, when another
    /// process takes the lease over: that process works on the same objects.
    ///
    /// # Errors
    /// As [`Held::confirm`].
    pub(crate) async fn guard<T>(&self, change: impl Future<Output = T>) -> Result<T, StoreError> {
        self.confirm().await?;
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            Ok(_) = lost.wait_for(|is_lost| *is_lost) => Err(self.lost_error()),
            changed = change => Ok(changed),
        }
    }

    fn lost_error(&self) -> StoreError {
        StoreError::LeaseLost {
            workload: self.lease.workload().clone(),
            by: None,
        }
    }

    /// Gives the lease back, so that the next caller need not wait.
    pub(crate) async fn give_back(mut self) {
        self.given_back = true;
        self.renewal.abort();
        if let Err(error) = self.store.release(&self.lease).await {
            tracing::warn!(%error, "a lease could not be given back; it runs out by itself");
        }
    }
}

/// A caller that was cancelled gives its lease back too.
impl Drop for Held {
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
