//! Writes: prepare, fill in defaults, ask the [`Admission`], record the field manager, store.
//! Everything happens under the store's lock, so that two writes can't both pass one quota.

mod internal;

use serde_json::Value;

use crate::ids::{new_uid, now, suffix};
use crate::json::{as_map, child, integer, items, present, text};
use crate::managed::{self, Apply};
use crate::resources::{Kind, NAMESPACES, PODS};
use crate::status_error::ApiError;
use crate::store::{State, Store};
use crate::{decode, defaults, namespaces};
pub(crate) use internal::{create_internal, update_internal};

/// What a server decides about writes that this crate does not know: validation, quotas, addresses. It
/// is asked under the store's lock, after the defaults have been filled in, and not about a status.
pub trait Admission: Send + Sync + 'static {
    /// Completes a new object or refuses it; returns warnings.
    fn create(
        &self,
        _state: &State,
        _kind: Kind,
        _object: &mut Value,
    ) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }

    /// Completes the next state of an object or refuses it; returns warnings.
    fn update(
        &self,
        _state: &State,
        _kind: Kind,
        _current: &Value,
        _next: &mut Value,
    ) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }
}

/// Admits everything.
impl Admission for () {}

/// Under which circumstances a write is made.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// The field manager.
    pub manager: String,
    /// `status`, `scale`, or empty.
    pub subresource: String,
    /// Go all the way but do not store.
    pub dry_run: bool,
}

/// What a write did.
#[derive(Debug, Default)]
pub struct Written {
    /// The object as stored.
    pub object: Value,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
    /// Whether it is new.
    pub created: bool,
}

fn key(object: &Value) -> (String, String) {
    let part = |pointer: &str| text(object, pointer).to_owned();
    (part("/metadata/namespace"), part("/metadata/name"))
}

/// Creates a decoded object.
pub fn create(store: &Store, how: &Write, kind: Kind, object: Value) -> Result<Written, ApiError> {
    store.transaction(|state| create_in(store, state, how, kind, object, true))
}

fn create_in(
    store: &Store,
    state: &mut State,
    how: &Write,
    kind: Kind,
    mut object: Value,
    track: bool,
) -> Result<Written, ApiError> {
    if present(&object, "/metadata/resourceVersion") {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    prepare(kind, &mut object);
    namespaces::admits(state, kind, &object)?;
    defaults::apply(kind, &mut object);
    let warnings = store.admission().create(state, kind, &mut object)?;
    let key = key(&object);
    if state.get(kind, &key.0, &key.1).is_some() {
        return Err(ApiError::already_exists(kind, &key.1));
    }
    if track {
        managed::track(kind, &Value::Null, &mut object, &how.manager, "");
    }
    tidy(&mut object);
    if !how.dry_run {
        object = (*state.put(kind, key, object)).clone();
    }
    Ok(Written {
        object,
        warnings,
        created: true,
    })
}

/// What every new object gets, whatever its author wrote there.
fn prepare(kind: Kind, object: &mut Value) {
    if kind.status {
        as_map(object).shift_remove("status");
    }
    let metadata = child(object, "metadata");
    for key in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        metadata.shift_remove(key);
    }
    let given = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let base = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if given.is_empty() && !base.is_empty() {
        metadata.insert("name".to_owned(), format!("{base}{}", suffix()).into());
    }
    metadata.insert("uid".to_owned(), new_uid().into());
    metadata.insert("creationTimestamp".to_owned(), now().into());
    if kind.generation {
        metadata.insert("generation".to_owned(), 1.into());
    }
}

/// Changes an object; `change` answers with the whole new object.
pub fn update(
    store: &Store,
    how: &Write,
    kind: Kind,
    ns: &str,
    name: &str,
    change: impl FnOnce(&Value) -> Result<Value, ApiError>,
) -> Result<Written, ApiError> {
    store.transaction(|state| {
        let current = state
            .get(kind, ns, name)
            .ok_or_else(|| ApiError::not_found(kind, name))?;
        let next = change(&current)?;
        update_in(store, state, how, kind, &current, next, true)
    })
}

fn update_in(
    store: &Store,
    state: &mut State,
    how: &Write,
    kind: Kind,
    current: &Value,
    mut next: Value,
    track: bool,
) -> Result<Written, ApiError> {
    let name = text(current, "/metadata/name").to_owned();
    let version = text(&next, "/metadata/resourceVersion").to_owned();
    if !version.is_empty() && version != text(current, "/metadata/resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        return Err(ApiError::conflict(kind, &name, why));
    }
    let uid = text(&next, "/metadata/uid");
    if !uid.is_empty() && uid != text(current, "/metadata/uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(current, "/metadata/uid")
        );
        return Err(ApiError::conflict(kind, &name, &why));
    }
    keep(kind, how, current, &mut next);
    let mut warnings = Vec::new();
    if how.subresource != "status" {
        defaults::apply(kind, &mut next);
        warnings = store.admission().update(state, kind, current, &mut next)?;
    }
    let mut written = finish(state, how, kind, current, next, track);
    written.warnings = warnings;
    Ok(written)
}

/// What an update can't touch.
fn keep(kind: Kind, how: &Write, current: &Value, next: &mut Value) {
    if how.subresource == "status" {
        let status = next.get("status").cloned();
        let managed = next.pointer("/metadata/managedFields").cloned();
        *next = current.clone();
        let map = as_map(next);
        match status {
            Some(status) => map.insert("status".to_owned(), status),
            None => map.shift_remove("status"),
        };
        if let Some(managed) = managed {
            child(next, "metadata").insert("managedFields".to_owned(), managed);
        }
        return;
    }
    if kind.status {
        let map = as_map(next);
        match current.get("status") {
            Some(status) => map.insert("status".to_owned(), status.clone()),
            None => map.shift_remove("status"),
        };
    }
    let old = current.get("metadata").cloned().unwrap_or_default();
    let metadata = child(next, "metadata");
    for key in [
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ] {
        match old.get(key) {
            Some(value) => metadata.insert(key.to_owned(), value.clone()),
            None => metadata.shift_remove(key),
        };
    }
    // Who leaves managedFields out keeps them; an empty list resets them.
    if !metadata.contains_key("managedFields")
        && let Some(value) = old.get("managedFields")
    {
        metadata.insert("managedFields".to_owned(), value.clone());
    }
}

/// Counts the generation, records the owner, stores or removes.
fn finish(
    state: &mut State,
    how: &Write,
    kind: Kind,
    current: &Value,
    mut next: Value,
    track: bool,
) -> Written {
    // A binding is the scheduler's, not the author's: it does not count.
    let bound =
        *kind == PODS && current.pointer("/spec/nodeName") != next.pointer("/spec/nodeName");
    if kind.generation && !bound && spec_changed(current, &next) {
        let generation = integer(current, "/metadata/generation").unwrap_or(0) + 1;
        child(&mut next, "metadata").insert("generation".to_owned(), generation.into());
    }
    tidy(&mut next);
    if next == *current {
        return Written {
            object: next,
            ..Written::default()
        };
    }
    if track {
        managed::track(kind, current, &mut next, &how.manager, &how.subresource);
    }
    let key = key(current);
    if !how.dry_run {
        let held = !items(&next, "/metadata/finalizers").is_empty();
        let leaving = present(&next, "/metadata/deletionTimestamp")
            && integer(&next, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0;
        next = (*state.put(kind, key.clone(), next)).clone();
        if leaving && !held && *kind != NAMESPACES && *kind != PODS {
            state.take(kind, &key);
        }
    }
    Written {
        object: next,
        ..Written::default()
    }
}

/// Empty lists and maps of the metadata are left out, as Go's `omitempty` does.
fn tidy(object: &mut Value) {
    child(object, "metadata").retain(|key, value| {
        let collection = matches!(
            key.as_str(),
            "labels" | "annotations" | "finalizers" | "ownerReferences" | "managedFields"
        );
        let empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        !(collection && empty)
    });
}

fn spec_changed(old: &Value, new: &Value) -> bool {
    let body = |object: &Value| {
        let mut object = object.clone();
        let map = as_map(&mut object);
        map.shift_remove("metadata");
        map.shift_remove("status");
        object
    };
    body(old) != body(new)
}

/// Server-side apply.
pub fn apply(
    store: &Store,
    how: &Write,
    kind: Kind,
    ns: &str,
    name: &str,
    applied: &Value,
    force: bool,
) -> Result<Written, ApiError> {
    let how_applied = Apply {
        manager: &how.manager,
        subresource: &how.subresource,
        force,
    };
    let mut applied = applied.clone();
    let reset = if how.subresource == "status" {
        "spec"
    } else {
        "status"
    };
    if kind.status {
        as_map(&mut applied).shift_remove(reset);
    }
    store.transaction(|state| {
        let Some(current) = state.get(kind, ns, name) else {
            let merged = managed::apply(kind, &Value::Null, &applied, &how_applied)?;
            let merged = canonical(kind, merged)?;
            return create_in(store, state, how, kind, merged, false);
        };
        let wanted = text(&applied, "/metadata/resourceVersion");
        if !wanted.is_empty() && wanted != text(&current, "/metadata/resourceVersion") {
            let why = "the object has been modified; please apply your changes to the latest \
                       version and try again";
            return Err(ApiError::conflict(kind, name, why));
        }
        let merged = managed::apply(kind, &current, &applied, &how_applied)?;
        let merged = canonical(kind, merged)?;
        update_in(store, state, how, kind, &current, merged, false)
    })
}

fn canonical(kind: Kind, object: Value) -> Result<Value, ApiError> {
    decode::decode(kind, object, &[], decode::Validation::Ignore).map(|decoded| decoded.object)
}

#[cfg(test)]
mod tests;
