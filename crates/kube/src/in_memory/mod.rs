//! A cluster in memory, for tests: the object store of the sandbox's API server behind the same requests
//! as a real cluster.
//!
//! It keeps revisions and field managers, refuses stale writes, fills in defaults, selects, watches, and
//! deletes dependents and the contents of namespaces. It validates and admits everything that is
//! well-formed, except what a test [refuses](InMemory::refuse). No controller runs and no container starts
//! by itself: a test writes what they would write, or lets [workloads](InMemory::run_workloads) or a
//! [controller](InMemory::add_controller) of its own do so. Commands in pods are not supported; a log is
//! what a test [has printed](InMemory::print). Only the kinds of [`berth_objects::resources`] are known.
//!
//! Nothing waits for time but what would wait on a real cluster, and by tokio's clock: with
//! [`tokio::time::pause`] an hour takes no time.

// What a test writes it rarely reads back; the attribute would be noise.
#![allow(clippy::must_use_candidate)]

mod backend;
mod contact;
mod logs;
mod refusal;
mod rounds;
mod workloads;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth_core::Namespace;
use berth_objects::{Kind, Store, StoreEvent, json::as_map, resources, write};
use serde_json::{Value, json};

pub use self::{contact::Away, workloads::Fate};
pub use berth_objects::ApiError;

use self::{contact::Contact, logs::Logs, refusal::Rules, rounds::Rounds};
use super::{ClusterError, ObjectChange, Resource};

/// A cluster in memory. Cheap to clone; clones are the same cluster.
#[derive(Clone)]
pub struct InMemory(Arc<Inner>);

struct Inner {
    store: Store,
    rules: Rules,
    contact: Contact,
    rounds: Rounds,
    calls: Mutex<BTreeMap<&'static str, usize>>,
    logs: Logs,
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemory {
    /// Makes a cluster with the namespaces that every cluster has, and one node.
    #[must_use]
    pub fn new() -> Self {
        let rules = Rules::default();
        let store = Store::with_admission(rules.clone());
        let cluster = Self(Arc::new(Inner {
            rounds: Rounds::new(&store),
            store,
            rules,
            contact: Contact::default(),
            calls: Mutex::default(),
            logs: Logs::default(),
        }));
        for namespace in ["default", "kube-system"] {
            cluster.put(&json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
            }));
        }
        cluster.put(&json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "node-1", "labels": {"kubernetes.io/arch": "amd64"}},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux"},
            },
        }));
        cluster
    }

    /// Creates the object, or replaces the one of its kind and name, with its status; returns it as it is
    /// then. The field manager is `kubectl`.
    ///
    /// # Panics
    /// When it has no kind that is known, or can't be stored.
    #[expect(clippy::panic, reason = "a test that sets up what can't be is wrong")]
    pub fn put(&self, object: &Value) -> Value {
        self.try_put(object)
            .unwrap_or_else(|error| panic!("can't put {object}: {error}"))
    }

    fn try_put(&self, object: &Value) -> Result<Value, ApiError> {
        let kind = refusal::kind_of(object)?;
        let (ns, name) = place(object);
        let store = self.0.store.as_manager("kubectl");
        if store.get(kind, ns, name).is_none() {
            store.create(kind, object.clone())?;
        }
        let put = store.update(kind, ns, name, |stored| {
            let metadata = stored.get("metadata").cloned().unwrap_or_default();
            let stored_fields = as_map(stored);
            for (field, value) in object.as_object().into_iter().flatten() {
                stored_fields.insert(field.clone(), value.clone());
            }
            let mut merged = metadata;
            let own = object.get("metadata").and_then(Value::as_object);
            for (field, value) in own.into_iter().flatten() {
                as_map(&mut merged).insert(field.clone(), value.clone());
            }
            stored_fields.insert("metadata".to_owned(), merged);
        })?;
        self.settle();
        Ok(put)
    }

    /// Returns an object as it is now, or none.
    ///
    /// # Panics
    /// When its kind is not known.
    #[must_use]
    pub fn get(
        &self,
        resource: Resource,
        namespace: Option<&Namespace>,
        name: &str,
    ) -> Option<Value> {
        let ns = namespace.map_or("", Namespace::as_str);
        self.0.store.get(known(resource), ns, name)
    }

    /// Returns all objects of a resource, in the namespace or everywhere.
    ///
    /// # Panics
    /// When its kind is not known.
    #[must_use]
    pub fn list(&self, resource: Resource, namespace: Option<&Namespace>) -> Vec<Value> {
        let ns = namespace.map(Namespace::as_str);
        self.0.store.list(known(resource), ns)
    }

    /// Changes an object as a controller or another client would, whichever field it is. Returns whether
    /// the object is there.
    ///
    /// # Panics
    /// When its kind is not known.
    pub fn change(
        &self,
        resource: Resource,
        namespace: Option<&Namespace>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let ns = namespace.map_or("", Namespace::as_str);
        let changed = self.0.store.update(known(resource), ns, name, change);
        self.settle();
        changed.is_ok()
    }

    /// Sets the status of an object as its controller would. Returns whether the object is there.
    ///
    /// # Panics
    /// When its kind is not known.
    pub fn set_status(
        &self,
        resource: Resource,
        namespace: Option<&Namespace>,
        name: &str,
        status: Value,
    ) -> bool {
        self.change(resource, namespace, name, |object| {
            as_map(object).insert("status".to_owned(), status);
        })
    }

    /// Deletes an object as another client would, without waiting until it is gone. Returns whether it was
    /// there.
    ///
    /// # Panics
    /// When its kind is not known.
    pub fn remove(&self, resource: Resource, namespace: Option<&Namespace>, name: &str) -> bool {
        let ns = namespace.map_or("", Namespace::as_str);
        let deleted = self.0.store.delete(known(resource), ns, name);
        self.settle();
        deleted.is_ok()
    }

    /// Adds lines to the log of a container, as if it had printed them now.
    pub fn print(&self, namespace: &Namespace, pod: &str, container: &str, lines: &str) {
        let key = [namespace.as_str(), pod, container].map(str::to_owned);
        self.0.logs.print(key, lines);
    }

    /// Lets the cluster be out of reach, from now on and for this time: every call fails, and running
    /// watches and waits end with the same error.
    pub fn be_away(&self, how: Away, at_most: Duration) {
        self.0.contact.lose(how, at_most);
    }

    /// Ends [`InMemory::be_away`].
    pub fn come_back(&self) {
        self.0.contact.restore();
    }

    /// Refuses every write for which the rule has a reason, as admission would: it is given the object as
    /// it would be stored. Statuses are not asked about.
    pub fn refuse(&self, rule: impl Fn(&Value) -> Option<ApiError> + Send + Sync + 'static) {
        self.0.rules.add(rule);
    }

    /// Calls the closure for each change from now on, whoever made it. It may write to the cluster; a task
    /// that it spawns may do so later.
    pub fn add_controller(
        &self,
        controller: impl FnMut(&InMemory, &ObjectChange) + Send + 'static,
    ) {
        self.0.rounds.add(controller);
    }

    /// Returns how often each kind of call was made, such as `list` or `apply`, those that failed included.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, usize> {
        lock(&self.0.calls).clone()
    }

    /// Counts a call, and fails when the cluster is out of reach.
    async fn call(&self, act: &'static str) -> Result<(), ClusterError> {
        *lock(&self.0.calls).entry(act).or_default() += 1;
        self.0.contact.reach().await
    }

    /// Lets what happens by itself happen, until nothing more does.
    fn settle(&self) {
        self.0.rounds.run(self);
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

fn circumstances(manager: &str, dry_run: bool) -> write::Write {
    write::Write {
        manager: manager.to_owned(),
        dry_run,
        ..write::Write::default()
    }
}

/// The change as a watch of everything sees it.
fn change_of(event: &StoreEvent) -> ObjectChange {
    let object = (*event.object).clone();
    match event.kind {
        berth_objects::Change::Deleted => ObjectChange::Gone(object),
        _ => ObjectChange::Is(object),
    }
}

fn place(object: &Value) -> (&str, &str) {
    let text = |pointer| berth_objects::json::text(object, pointer);
    (text("/metadata/namespace"), text("/metadata/name"))
}

#[expect(clippy::panic, reason = "a test that asks for what can't be is wrong")]
fn known(resource: Resource) -> Kind {
    resources::find(resource.group, resource.version, resource.plural)
        .unwrap_or_else(|| panic!("the cluster in memory does not know {}", resource.name()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
