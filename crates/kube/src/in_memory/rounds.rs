//! What happens by itself: garbage collection, the end of namespaces and of pods, and controllers.

use std::sync::{Mutex, TryLockError};

use berth_objects::{
    Store, Watcher, garbage,
    json::present,
    namespaces,
    resources::{NAMESPACES, PODS},
};

use super::{InMemory, change_of, lock, place};
use crate::ObjectChange;

type Controller = Box<dyn FnMut(&InMemory, &ObjectChange) + Send>;

/// What runs, and how far it has seen.
pub(super) struct Rounds(Mutex<State>);

struct State {
    watcher: Watcher,
    controllers: Vec<Controller>,
}

impl Rounds {
    pub(super) fn new(store: &Store) -> Self {
        Self(Mutex::new(State {
            watcher: store.watch_all(),
            controllers: Vec::new(),
        }))
    }

    pub(super) fn add(&self, controller: impl FnMut(&InMemory, &ObjectChange) + Send + 'static) {
        lock(&self.0).controllers.push(Box::new(controller));
    }

    /// Runs until nothing changes any more. When it runs already, in this thread or another, that run goes
    /// on until the changes which called for this one have been seen.
    pub(super) fn run(&self, cluster: &InMemory) {
        loop {
            let mut state = match self.0.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let before = state.watcher.cursor();
            state.round(cluster);
            drop(state);
            if before == cluster.0.store.watch_all().cursor() {
                return;
            }
        }
    }
}

impl State {
    fn round(&mut self, cluster: &InMemory) {
        while let Ok(event) = self.watcher.try_next() {
            let Some(event) = event else { break };
            let change = change_of(&event);
            for controller in &mut self.controllers {
                controller(cluster, &change);
            }
        }
        let store = &cluster.0.store;
        garbage::collect(store);
        // No kubelet has anything to end.
        for pod in store.list(&PODS, None) {
            if present(&pod, "/metadata/deletionTimestamp") {
                let (ns, name) = place(&pod);
                store.remove(&PODS, ns, name);
            }
        }
        for namespace in store.list(&NAMESPACES, None) {
            if present(&namespace, "/metadata/deletionTimestamp") {
                namespaces::finalize(store, &namespace);
            }
        }
    }
}
