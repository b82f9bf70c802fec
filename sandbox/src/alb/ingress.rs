//! What the controller writes into an ingress: its finalizer and its address.

use serde_json::{Value, json};

use crate::node::json::{items, name, namespace, uid};
use berth_objects::json::child;
use berth_objects::resources::INGRESSES;
use berth_objects::store::Store;

/// Lets the group hold the ingress until it has been let go.
pub(super) fn hold(store: &Store, ingress: &Value, finalizer: &str) {
    let held = items(ingress, "/metadata/finalizers").contains(&finalizer.into());
    if held {
        return;
    }
    let done = store.update(&INGRESSES, namespace(ingress), name(ingress), |ingress| {
        let list = child(ingress, "metadata")
            .entry("finalizers")
            .or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(finalizer.into());
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "an ingress was not held");
    }
}

/// Lets the ingress go.
pub(super) fn release(store: &Store, ingress: &Value, finalizer: &str) {
    let done = store.update(&INGRESSES, namespace(ingress), name(ingress), |ingress| {
        if let Some(Value::Array(list)) = ingress.pointer_mut("/metadata/finalizers") {
            list.retain(|held| held.as_str() != Some(finalizer));
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "an ingress was not let go");
    }
}

/// Writes the group's address.
pub(super) fn publish(store: &Store, ingress: &Value, address: &Value) {
    if ingress.pointer("/status/loadBalancer/ingress") == Some(address) {
        return;
    }
    let own = uid(ingress);
    let done = store.update(&INGRESSES, namespace(ingress), name(ingress), |ingress| {
        if uid(ingress) == own {
            let status = child(ingress, "status");
            status.insert("loadBalancer".to_owned(), json!({ "ingress": address }));
        }
    });
    if let Err(error) = done {
        tracing::debug!(%error, "an address was not written");
    }
}
