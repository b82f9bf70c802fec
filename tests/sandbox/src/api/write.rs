//! The way of a write: decode, default, validate, admit, store.

use chrono::{SecondsFormat, Utc};
use serde_json::Value;

use super::resources::Kind;
use super::status_error::ApiError;
use super::store::Store;

pub(super) fn create_internal(store: &Store, kind: Kind, object: Value) -> Result<Value, ApiError> {
    let mut object = object;
    let text = |key: &str| {
        object
            .pointer(key)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let key = (text("/metadata/namespace"), text("/metadata/name"));
    store.transaction(|state| {
        if state.get(kind, &key.0, &key.1).is_some() {
            return Err(ApiError::already_exists(kind, &key.1));
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("uid".to_owned(), new_uid().into());
            metadata.insert("creationTimestamp".to_owned(), now().into());
        }
        Ok((*state.put(kind, key, object)).clone())
    })
}

pub(super) fn update_internal(
    store: &Store,
    kind: Kind,
    ns: &str,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Value, ApiError> {
    store.transaction(|state| {
        let current = state
            .get(kind, ns, name)
            .ok_or_else(|| ApiError::not_found(kind, name))?;
        let mut next = (*current).clone();
        change(&mut next);
        if next == *current {
            return Ok(next);
        }
        Ok((*state.put(kind, (ns.to_owned(), name.to_owned()), next)).clone())
    })
}

/// The present second, as timestamps are written.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A random (version 4) UUID.
pub fn new_uid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}

/// Random bytes of the operating system.
pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // Nothing sensible can be done without randomness; a fixed value shows up at once.
        tracing::error!("the operating system gives no random bytes");
    }
    bytes
}
