//! The end of a namespace: everything in it is deleted, then the namespace itself.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Options, remove};
use crate::api::json::{child, default, items, present, text};
use crate::api::resources::{ALL, NAMESPACES, PODS};
use crate::api::store::Store;
use crate::api::write::now;

/// How long a terminating namespace is left as it is. The real controller waits for five seconds;
/// this is long enough to be met, and short enough for tests that clean up after themselves.
const PAUSE: Duration = Duration::from_millis(500);

/// The namespaces that are on their way out, and since when.
#[derive(Default)]
pub(super) struct Namespaces(HashMap<String, Instant>);

impl Namespaces {
    /// Empties and removes what is due; answers when to look again.
    pub(super) fn empty(&mut self, store: &Store) -> Instant {
        let mut next = Instant::now() + Duration::from_hours(1);
        let mut leaving = HashMap::new();
        for namespace in store.list(&NAMESPACES, None) {
            if !present(&namespace, "/metadata/deletionTimestamp") {
                continue;
            }
            let uid = text(&namespace, "/metadata/uid").to_owned();
            let since = self.0.get(&uid).copied().unwrap_or_else(Instant::now);
            leaving.insert(uid, since);
            let due = since + PAUSE;
            if due > Instant::now() {
                next = next.min(due);
            } else {
                end(store, &namespace);
            }
        }
        self.0 = leaving;
        next
    }
}

fn end(store: &Store, namespace: &Value) {
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
