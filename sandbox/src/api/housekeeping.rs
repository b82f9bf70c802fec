//! What the real cluster's controllers do for every object: collecting what has lost its owner,
//! emptying namespaces, making default accounts, counting quotas.

mod namespaces;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::quota;
use super::delete::{self, FOREGROUND, ORPHAN, Options};
use super::json::{as_map, items, present, text};
use super::resources::{
    ALL, CONFIGMAPS, EVENTS, Kind, NAMESPACES, RESOURCEQUOTAS, SERVICEACCOUNTS,
};
use super::store::Store;
use namespaces::Namespaces;

/// Runs until dropped.
pub(super) async fn run(store: Store, ca_pem: String) {
    let mut watcher = store.watch_all();
    let mut namespaces = Namespaces::default();
    loop {
        collect(&store);
        let due = namespaces.empty(&store);
        default_objects(&store, &ca_pem);
        count_quotas(&store);
        // Whatever has happened in the meantime is seen by the next round, lost or not.
        tokio::select! {
            _ = watcher.next() => {}
            () = tokio::time::sleep_until(due) => {}
        }
        while matches!(watcher.try_next(), Ok(Some(_)) | Err(_)) {}
    }
}

fn everything(store: &Store) -> Vec<(Kind, Arc<Value>)> {
    let of = |&kind: &Kind| {
        store
            .list_at(kind, None)
            .0
            .into_iter()
            .map(move |object| (kind, object))
    };
    ALL.iter()
        .filter(|kind| ***kind != EVENTS)
        .flat_map(of)
        .collect()
}

/// Deletes what has lost its owners, and lets go of owners that wait for what they own.
fn collect(store: &Store) {
    let objects = everything(store);
    let alive: HashMap<&str, &Value> = objects
        .iter()
        .map(|(_, object)| (text(object, "/metadata/uid"), &**object))
        .collect();
    let mut owners_in_use = HashSet::new();
    for (kind, object) in &objects {
        let owners = items(object, "/metadata/ownerReferences");
        if owners.is_empty() {
            continue;
        }
        let owner_of = |owner: &Value| alive.get(text(owner, "/uid")).copied();
        let leaving = |owner: &Value, finalizer: &str| {
            present(owner, "/metadata/deletionTimestamp")
                && items(owner, "/metadata/finalizers")
                    .iter()
                    .any(|f| f.as_str() == Some(finalizer))
        };
        if let Some(owner) = owners
            .iter()
            .filter_map(owner_of)
            .find(|o| leaving(o, ORPHAN))
        {
            disown(store, kind, object, text(owner, "/metadata/uid"));
            continue;
        }
        let kept = owners
            .iter()
            .filter_map(owner_of)
            .any(|owner| !leaving(owner, FOREGROUND));
        for owner in owners
            .iter()
            .filter(|o| o.get("blockOwnerDeletion") == Some(&true.into()))
        {
            owners_in_use.insert(text(owner, "/uid").to_owned());
        }
        if !kept && !present(object, "/metadata/deletionTimestamp") {
            let options = Options {
                uid: text(object, "/metadata/uid").to_owned(),
                ..Options::default()
            };
            remove(store, kind, object, &options);
        }
    }
    for (kind, object) in &objects {
        if !present(object, "/metadata/deletionTimestamp") {
            continue;
        }
        let in_use = owners_in_use.contains(text(object, "/metadata/uid"));
        for finalizer in [FOREGROUND, ORPHAN] {
            let held = items(object, "/metadata/finalizers")
                .iter()
                .any(|f| f.as_str() == Some(finalizer));
            if held && !(finalizer == FOREGROUND && in_use) {
                drop_finalizer(store, kind, object, finalizer);
            }
        }
    }
}

fn disown(store: &Store, kind: Kind, object: &Value, owner: &str) {
    let (ns, name) = place(object);
    let done = store.update(kind, ns, name, |object| {
        if let Some(Value::Array(list)) = object.pointer_mut("/metadata/ownerReferences") {
            list.retain(|reference| text(reference, "/uid") != owner);
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "orphaning");
    }
}

fn drop_finalizer(store: &Store, kind: Kind, object: &Value, finalizer: &str) {
    let (ns, name) = place(object);
    let done = store.update(kind, ns, name, |object| {
        if let Some(Value::Array(list)) = object.pointer_mut("/metadata/finalizers") {
            list.retain(|held| held.as_str() != Some(finalizer));
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "letting go");
    }
}

fn remove(store: &Store, kind: Kind, object: &Value, options: &Options) {
    let (ns, name) = place(object);
    match delete::delete(store, kind, ns, name, options) {
        Ok(_) => {}
        Err(error) if error.code == 404 => {}
        Err(error) => tracing::warn!(%error, "collecting"),
    }
}

fn place(object: &Value) -> (&str, &str) {
    (
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}

/// Every namespace has a `default` account and the authority's certificate.
fn default_objects(store: &Store, ca_pem: &str) {
    for namespace in store.list(&NAMESPACES, None) {
        if present(&namespace, "/metadata/deletionTimestamp") {
            continue;
        }
        let name = text(&namespace, "/metadata/name");
        let make = |kind: Kind, object: Value| {
            if store
                .get(kind, name, text(&object, "/metadata/name"))
                .is_none()
                && let Err(error) = store.create(kind, object)
            {
                tracing::debug!(%error, "default object");
            }
        };
        make(
            &SERVICEACCOUNTS,
            json!({"metadata": {"name": "default", "namespace": name}}),
        );
        make(
            &CONFIGMAPS,
            json!({
                "metadata": {"name": "kube-root-ca.crt", "namespace": name, "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify \
                     the kube-apiserver when using internal endpoints such as the internal \
                     service IP or kubernetes.default.svc. No other usage is guaranteed across \
                     distributions of Kubernetes clusters."}},
                "data": {"ca.crt": ca_pem},
            }),
        );
    }
}

fn count_quotas(store: &Store) {
    for quota in store.list(&RESOURCEQUOTAS, None) {
        let status = store.transaction(|state| quota::status(state, &quota));
        if quota.get("status") == Some(&status) {
            continue;
        }
        let (ns, name) = place(&quota);
        let done = store.update(&RESOURCEQUOTAS, ns, name, |quota| {
            as_map(quota).insert("status".to_owned(), status);
        });
        if let Err(error) = done {
            tracing::debug!(%error, "counting a quota");
        }
    }
}
