//! Garbage collection: dependents go after their owners, before them, or are orphaned, as the deletion of
//! the owner asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::delete::{self, FOREGROUND, ORPHAN, Options};
use crate::json::{items, present, text};
use crate::resources::{ALL, EVENTS, Kind};
use crate::store::Store;

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

/// One round: deletes what has lost its owners, and lets go of owners that wait for what they own.
pub fn collect(store: &Store) {
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

pub(crate) fn remove(store: &Store, kind: Kind, object: &Value, options: &Options) {
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
