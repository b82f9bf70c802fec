//! The lifecycle of namespaces: what may be created in one, and what goes with it when it is deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::delete::Options;
use crate::garbage::remove;
use crate::ids::now;
use crate::json::{as_map, child, default, items, present, text};
use crate::resources::{ALL, Kind, NAMESPACES, PODS};
use crate::status_error::ApiError;
use crate::store::{State, Store};

/// The namespace of a new object must be there, and stay.
pub(crate) fn admits(state: &State, kind: Kind, object: &Value) -> Result<(), ApiError> {
    if !kind.namespaced {
        return Ok(());
    }
    let name = text(object, "/metadata/namespace");
    let Some(namespace) = state.get(&NAMESPACES, "", name) else {
        return Err(ApiError::not_found(&NAMESPACES, name));
    };
    if text(&namespace, "/metadata/deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why =
        format!("unable to create new content in namespace {name} because it is being terminated");
    let mut error = ApiError::forbidden(kind, text(object, "/metadata/name"), &why);
    let cause = json!([{"reason": "NamespaceTerminating",
        "message": format!("namespace {name} is being terminated"), "field": "metadata.namespace"}]);
    as_map(&mut error.details).insert("causes".to_owned(), cause);
    Err(error)
}

/// One round for a namespace that is being deleted: deletes what is in it, then the namespace itself. What
/// finalizers still hold, and pods in their grace period, are reported in its status.
pub fn finalize(store: &Store, namespace: &Value) {
    let name = text(namespace, "/metadata/name");
    for &kind in ALL.iter().filter(|kind| kind.namespaced) {
        for object in store.list(kind, Some(name)) {
            // A pod in its grace is left to the node.
            if *kind != PODS || !present(&object, "/metadata/deletionTimestamp") {
                remove(store, kind, &object, &Options::default());
            }
        }
    }
    let mut left = BTreeMap::new();
    let mut finalizers = BTreeMap::new();
    for &kind in ALL.iter().filter(|kind| kind.namespaced) {
        for object in store.list(kind, Some(name)) {
            *left
                .entry(format!("{}.{}", kind.plural, kind.group))
                .or_insert(0) += 1;
            for held in items(&object, "/metadata/finalizers")
                .iter()
                .filter_map(Value::as_str)
            {
                *finalizers.entry(held.to_owned()).or_insert(0) += 1;
            }
        }
    }
    if !left.is_empty() {
        report(store, name, &left, &finalizers);
    } else if items(namespace, "/metadata/finalizers").is_empty() {
        store.remove(&NAMESPACES, "", name);
    }
}

/// Says in the namespace's status what it waits for.
fn report(
    store: &Store,
    name: &str,
    left: &BTreeMap<String, i32>,
    finalizers: &BTreeMap<String, i32>,
) {
    let list = |counts: &BTreeMap<String, i32>, word: &str| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(what, count)| format!("{what} {word} {count} resource instances"))
            .collect();
        parts.join(", ")
    };
    let held = if finalizers.is_empty() {
        (
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        let text = list(finalizers, "in");
        let text = format!("Some content in the namespace has finalizers remaining: {text}");
        ("True", "SomeFinalizersRemain", text)
    };
    let remaining = format!("Some resources are remaining: {}", list(left, "has"));
    let conditions = [
        (
            "NamespaceDeletionDiscoveryFailure",
            (
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered".to_owned(),
            ),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            (
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed".to_owned(),
            ),
        ),
        (
            "NamespaceDeletionContentFailure",
            (
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization".to_owned(),
            ),
        ),
        (
            "NamespaceContentRemaining",
            ("True", "SomeResourcesRemain", remaining),
        ),
        ("NamespaceFinalizersRemaining", held),
    ];
    let done = store.update(&NAMESPACES, "", name, |namespace| {
        let status = child(namespace, "status");
        default(status, "conditions", json!([]));
        let Some(list) = status.get_mut("conditions").and_then(Value::as_array_mut) else {
            return;
        };
        for (kind, (status, reason, message)) in conditions {
            let mut fresh = json!({"type": kind, "status": status, "reason": reason,
                "message": message, "lastTransitionTime": now()});
            match list
                .iter_mut()
                .find(|condition| text(condition, "/type") == kind)
            {
                Some(old) => {
                    if text(old, "/status") == status
                        && let Some(time) = fresh.get_mut("lastTransitionTime")
                    {
                        *time = old.get("lastTransitionTime").cloned().unwrap_or_default();
                    }
                    *old = fresh;
                }
                None => list.push(fresh),
            }
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "reporting on a namespace");
    }
}
