//! How many channels a connection may have open, learnt from the server's refusals.
//!
//! sshd's `MaxSessions` (10 by default) is not announced: the open that is one too many fails
//! (RFC 4254, 5.1). Who is refused waits here until one of ours closes. The bookkeeping follows
//! the order in which the server's messages come in, for which russh's handler calls
//! [`Slots::confirmed`], [`Slots::refused`] and [`Slots::closed`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::ChannelId;
use tokio::sync::Notify;

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
    /// Known from a refusal; forgotten when nothing is open, since what filled the server up
    /// may have been on its way out.
    limit: Option<usize>,
    /// How many channels have ever been closed.
    closed: u64,
}

/// The right to ask for one channel. Dropped when the server has answered.
#[derive(Debug)]
pub(super) struct Turn {
    slots: Arc<Slots>,
    closed_before: u64,
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
            closed_before: inner.closed,
        })
    }

    /// The server opened a channel.
    pub(super) fn confirmed(&self, id: ChannelId) {
        self.lock().open.insert(id);
    }

    /// The server refused to open a channel.
    pub(super) fn refused(&self) {
        let mut inner = self.lock();
        inner.limit = Some(inner.open.len().max(1));
    }

    /// A channel is closed, or given up. May be called more than once.
    pub(super) fn closed(&self, id: ChannelId) {
        let mut inner = self.lock();
        if inner.open.remove(&id) {
            inner.closed += 1;
        }
        drop(inner);
        self.forget_limit_if_idle();
        self.changed.notify_waiters();
    }

    fn forget_limit_if_idle(&self) {
        let mut inner = self.lock();
        if inner.open.is_empty() && inner.opening == 0 {
            inner.limit = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// After a refusal: whether another attempt makes sense, now or when something closes. It
    /// does not if nothing of ours was open, is being opened or has been closed meanwhile.
    pub(super) fn may_try_again(self) -> bool {
        let inner = self.slots.lock();
        !inner.open.is_empty() || inner.opening > 1 || inner.closed > self.closed_before
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slots.lock().opening -= 1;
        self.slots.changed.notify_waiters();
    }
}
