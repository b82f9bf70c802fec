//! How many channels a connection may have open, learnt from the server's refusals.
//!
//! sshd's `MaxSessions` (10 by default) is not announced: the open that is one too many fails
//! (RFC 4254, 5.1). Who is refused waits here until one of ours closes. The bookkeeping follows
//! the order in which the server's messages come in, for which russh's handler calls
//! [`Slots::confirmed`], [`Slots::refused`] and [`Slots::closed`].
//!
//! A refusal is not always about the limit: sshd counts a session until it has swept up, a
//! moment after both sides have closed it, and for as long as a command outlives its channel.
//! So the most that were open at once are believed to be allowed, and a refusal below that is
//! tried again shortly.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::ChannelId;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a session of ours may linger on the server after its channel was closed.
const SWEEPING: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Slots {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    open: HashSet<ChannelId>,
    /// Asked for, not answered yet.
    opening: usize,
    /// Known from a refusal.
    limit: Option<usize>,
    /// The most that were open at once.
    most: usize,
    last_closed: Option<Instant>,
}

/// The right to ask for one channel. Dropped when the server has answered.
#[derive(Debug)]
pub(super) struct Turn {
    slots: Arc<Slots>,
}

impl Slots {
    /// Waits until there is reason to think that the server would open one more channel.
    pub(super) async fn turn(self: &Arc<Self>) -> Turn {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is not missed.
            changed.as_mut().enable();
            if let Some(turn) = self.try_turn() {
                return turn;
            }
            changed.await;
        }
    }

    fn try_turn(self: &Arc<Self>) -> Option<Turn> {
        let mut inner = self.lock();
        if inner
            .limit
            .is_some_and(|limit| inner.open.len() + inner.opening >= limit)
        {
            return None;
        }
        inner.opening += 1;
        Some(Turn {
            slots: Arc::clone(self),
        })
    }

    /// The server opened a channel.
    pub(super) fn confirmed(&self, id: ChannelId) {
        let mut inner = self.lock();
        inner.open.insert(id);
        inner.most = inner.most.max(inner.open.len());
    }

    /// The server refused to open a channel.
    pub(super) fn refused(&self) {
        let mut inner = self.lock();
        inner.limit = Some(inner.most.max(1));
    }

    /// A channel is closed, or given up. May be called more than once.
    pub(super) fn closed(&self, id: ChannelId) {
        let mut inner = self.lock();
        if inner.open.remove(&id) {
            inner.last_closed = Some(Instant::now());
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// After a refusal: whether another attempt makes sense, soon or when something closes. It
    /// does not if nothing of ours is open, is being opened or was until a moment ago.
    pub(super) fn may_try_again(self) -> bool {
        let inner = self.slots.lock();
        let just_closed = inner
            .last_closed
            .is_some_and(|closed| closed.elapsed() < SWEEPING);
        !inner.open.is_empty() || inner.opening > 1 || just_closed
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slots.lock().opening -= 1;
        self.slots.changed.notify_waiters();
    }
}
