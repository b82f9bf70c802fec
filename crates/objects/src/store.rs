//! The objects: one revision counter, one log of changes, one lock. Reads and writes are short
//! and never wait, so a plain mutex is enough; what has to wait reads the log through a
//! [`Watcher`]. Defaults and admission belong to [`crate::write`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::resources::Kind;
use crate::status_error::ApiError;
use crate::write::Admission;

/// How many changes a watch may be behind before it is told `410 Gone`.
const LOG_LENGTH: usize = 20_000;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It has changed.
    Modified,
    /// It is gone; `object` is its last state.
    Deleted,
}

/// One change.
#[derive(Debug, Clone)]
pub struct StoreEvent {
    /// What happened.
    pub kind: Change,
    /// To which kind of object.
    pub resource: Kind,
    /// The object after the change.
    pub object: Arc<Value>,
    /// The object before the change.
    pub previous: Option<Arc<Value>>,
    /// The store's revision after the change.
    pub revision: u64,
}

/// The receiver was too slow and has missed changes: list again. The watcher itself has moved to
/// the present and can be used further.
#[derive(Debug, Clone, Copy)]
pub struct Lagged;

/// Namespace, empty for cluster-scoped kinds, and name.
pub type Key = (String, String);
type Table = BTreeMap<Key, Arc<Value>>;

/// What the lock guards.
#[derive(Default)]
pub struct State {
    pub(super) revision: u64,
    tables: HashMap<(&'static str, &'static str), Table>,
    log: VecDeque<StoreEvent>,
    /// The revision before the oldest entry of the log.
    compacted: u64,
}

struct Inner {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    admission: Box<dyn Admission>,
}

/// The shared store; clones are handles. A handle carries the field manager's name under which
/// its own writes are recorded.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    manager: Arc<str>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store that admits everything.
    pub fn new() -> Self {
        Self::with_admission(())
    }

    /// An empty store whose writes are decided about by `admission`.
    pub fn with_admission(admission: impl Admission) -> Self {
        let (revision, _) = watch::channel(0);
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                revision,
                admission: Box::new(admission),
            }),
            manager: "kube-controller-manager".into(),
        }
    }

    /// The same store, written to under another field manager's name (`kubelet`, …).
    #[must_use]
    pub fn as_manager(&self, manager: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            manager: manager.into(),
        }
    }

    /// The field manager's name of this handle.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// One object; `ns` is empty for cluster-scoped kinds.
    pub fn get(&self, resource: Kind, ns: &str, name: &str) -> Option<Value> {
        self.lock()
            .get(resource, ns, name)
            .map(|object| (*object).clone())
    }

    /// All objects of a kind, in one namespace or everywhere, by namespace and name.
    pub fn list(&self, resource: Kind, ns: Option<&str>) -> Vec<Value> {
        self.lock()
            .list(resource, ns)
            .iter()
            .map(|object| (**object).clone())
            .collect()
    }

    /// Creates an object as an HTTP create would, with defaults, validation, admission and quota,
    /// and answers with what was stored.
    pub fn create(&self, resource: Kind, object: Value) -> Result<Value, ApiError> {
        crate::write::create_internal(self, resource, object)
    }

    /// Reads, changes and writes an object under the store's lock: `change` must be quick and
    /// must not use the store. Nothing is written when nothing changed. Trusted: not validated.
    /// An object in deletion whose last finalizer goes is removed.
    pub fn update(
        &self,
        resource: Kind,
        ns: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, ApiError> {
        crate::write::update_internal(self, resource, ns, name, change)
    }

    /// Deletes as an HTTP delete with default options would: a pod is marked and stays until
    /// [`Store::remove`], everything else goes at once unless finalizers hold it. Dependents
    /// are collected in the background.
    pub fn delete(&self, resource: Kind, ns: &str, name: &str) -> Result<Value, ApiError> {
        crate::delete::delete_internal(self, resource, ns, name)
    }

    /// The final removal, e.g. of a pod whose processes have ended. Finalizers still hold the
    /// object: then it stays, marked with a grace period of zero. Answers with its last state.
    pub fn remove(&self, resource: Kind, ns: &str, name: &str) -> Option<Value> {
        crate::delete::remove_internal(self, resource, ns, name)
    }

    /// Every change from now on.
    pub fn watch_all(&self) -> Watcher {
        let revision = self.lock().revision;
        self.watch_from(revision)
    }

    /// Every change after `revision`, which a list has told.
    pub fn watch_from(&self, revision: u64) -> Watcher {
        Watcher {
            store: self.clone(),
            cursor: revision,
            latest: self.inner.revision.subscribe(),
        }
    }

    /// A list and the revision it shows, for [`Store::watch_from`].
    pub fn list_at(&self, resource: Kind, ns: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let state = self.lock();
        (state.list(resource, ns), state.revision)
    }

    /// Runs `work` with everything held still, then wakes the watchers.
    pub fn transaction<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let (answer, revision) = {
            let mut state = self.lock();
            let answer = work(&mut state);
            (answer, state.revision)
        };
        self.inner.revision.send_if_modified(|seen| {
            let newer = revision > *seen;
            *seen = revision.max(*seen);
            newer
        });
        answer
    }

    pub(crate) fn admission(&self) -> &dyn Admission {
        &*self.inner.admission
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One object; `ns` is empty for cluster-scoped kinds.
    pub fn get(&self, resource: Kind, ns: &str, name: &str) -> Option<Arc<Value>> {
        let table = self.tables.get(&(resource.group, resource.plural))?;
        table.get(&(ns.to_owned(), name.to_owned())).cloned()
    }

    /// All objects of a kind, in one namespace or everywhere, by namespace and name.
    pub fn list(&self, resource: Kind, ns: Option<&str>) -> Vec<Arc<Value>> {
        let Some(table) = self.tables.get(&(resource.group, resource.plural)) else {
            return Vec::new();
        };
        table
            .iter()
            .filter(|((namespace, _), _)| ns.is_none_or(|ns| ns == namespace))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Stores an object under the next revision, which it writes into the object.
    pub(super) fn put(&mut self, resource: Kind, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        set_revision(&mut object, self.revision);
        let object = Arc::new(object);
        let table = self
            .tables
            .entry((resource.group, resource.plural))
            .or_default();
        let previous = table.insert(key, Arc::clone(&object));
        let kind = if previous.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        self.record(StoreEvent {
            kind,
            resource,
            object: Arc::clone(&object),
            previous,
            revision: self.revision,
        });
        object
    }

    /// Takes an object out; the event carries its last state under the next revision.
    pub(super) fn take(&mut self, resource: Kind, key: &Key) -> Option<Arc<Value>> {
        let table = self.tables.get_mut(&(resource.group, resource.plural))?;
        let previous = table.remove(key)?;
        self.revision += 1;
        let mut last = (*previous).clone();
        set_revision(&mut last, self.revision);
        let object = Arc::new(last);
        self.record(StoreEvent {
            kind: Change::Deleted,
            resource,
            object: Arc::clone(&object),
            previous: Some(previous),
            revision: self.revision,
        });
        Some(object)
    }

    fn record(&mut self, event: StoreEvent) {
        self.log.push_back(event);
        if self.log.len() > LOG_LENGTH
            && let Some(dropped) = self.log.pop_front()
        {
            self.compacted = dropped.revision;
        }
    }

    /// The first change after `cursor`; an error when it has been forgotten.
    fn after(&self, cursor: u64) -> Result<Option<StoreEvent>, Lagged> {
        if cursor < self.compacted {
            return Err(Lagged);
        }
        let index = self.log.partition_point(|event| event.revision <= cursor);
        Ok(self.log.get(index).cloned())
    }
}

fn set_revision(object: &mut Value, revision: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
}

/// A place in the log of changes.
pub struct Watcher {
    store: Store,
    cursor: u64,
    latest: watch::Receiver<u64>,
}

impl Watcher {
    /// Waits for the next change. Cancel-safe.
    pub async fn next(&mut self) -> Result<StoreEvent, Lagged> {
        loop {
            self.latest.mark_unchanged();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if self.latest.changed().await.is_err() {
                // The store, which this watcher holds, owns the sender: it can't be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Result<Option<StoreEvent>, Lagged> {
        let state = self.store.lock();
        match state.after(self.cursor) {
            Ok(event) => {
                if let Some(event) = &event {
                    self.cursor = event.revision;
                }
                Ok(event)
            }
            Err(lagged) => {
                self.cursor = state.revision;
                Err(lagged)
            }
        }
    }

    /// The revision up to which this watcher has seen everything.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }
}
