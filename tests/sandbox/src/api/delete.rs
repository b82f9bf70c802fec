//! Deletion: marks, grace, finalizers, owners and what they own.

use serde_json::Value;

use super::resources::{Kind, PODS};
use super::status_error::ApiError;
use super::store::Store;

pub(super) fn delete_internal(
    store: &Store,
    kind: Kind,
    ns: &str,
    name: &str,
) -> Result<Value, ApiError> {
    if *kind == PODS {
        return store.update(kind, ns, name, |pod| {
            if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("deletionTimestamp".to_owned(), super::write::now().into());
                metadata.insert("deletionGracePeriodSeconds".to_owned(), 30.into());
            }
        });
    }
    store
        .remove(kind, ns, name)
        .ok_or_else(|| ApiError::not_found(kind, name))
}

pub(super) fn remove_internal(store: &Store, kind: Kind, ns: &str, name: &str) -> Option<Value> {
    let key = (ns.to_owned(), name.to_owned());
    store
        .transaction(|state| state.take(kind, &key))
        .map(|object| (*object).clone())
}
