//! One worker an owner: a turn inside the process, a lease between processes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

pub(super) use crate::engine::LEASE_TTL as TTL;
use crate::{domain::Namespace, engine::Held, store::Lease};

/// The lease on an owner's record, renewed until it is given back.
pub(super) type HeldLease = Held<Lease>;

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
