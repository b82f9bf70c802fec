//! Deletion: marks, grace, finalizers, preconditions.

use std::str::FromStr;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::ids::now;
use crate::json::{as_map, child, integer, items, present, text};
use crate::resources::{Kind, NAMESPACES, PODS};
use crate::status_error::ApiError;
use crate::store::{State, Store};

/// What happens to what the object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// It is collected afterwards.
    #[default]
    Background,
    /// It goes first.
    Foreground,
    /// It stays.
    Orphan,
}

impl FromStr for Policy {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        match text {
            "" | "Background" => Ok(Self::Background),
            "Foreground" => Ok(Self::Foreground),
            "Orphan" => Ok(Self::Orphan),
            other => Err(ApiError::new(
                422,
                "Invalid",
                format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported \
                     value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\""
                ),
            )),
        }
    }
}

/// `DeleteOptions`
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Seconds; none means the object's own.
    pub grace: Option<i64>,
    /// What happens to dependents.
    pub policy: Policy,
    /// Only if this is the object's uid.
    pub uid: String,
    /// Only if this is the object's revision.
    pub revision: String,
    /// Go all the way but delete nothing.
    pub dry_run: bool,
}

/// The finalizer of a foreground deletion.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of a deletion that leaves orphans.
pub const ORPHAN: &str = "orphan";

pub(super) fn delete_internal(
    store: &Store,
    kind: Kind,
    ns: &str,
    name: &str,
) -> Result<Value, ApiError> {
    delete(store, kind, ns, name, &Options::default())
}

/// Deletes an object, or marks it. Answers as the HTTP request is answered.
pub fn delete(
    store: &Store,
    kind: Kind,
    ns: &str,
    name: &str,
    options: &Options,
) -> Result<Value, ApiError> {
    store.transaction(|state| {
        let current = state
            .get(kind, ns, name)
            .ok_or_else(|| ApiError::not_found(kind, name))?;
        preconditions(kind, name, &current, options)?;
        if *kind == NAMESPACES && matches!(name, "default" | "kube-system" | "kube-public") {
            let why = "this namespace may not be deleted";
            return Err(ApiError::forbidden(kind, name, why));
        }
        if options.dry_run {
            return Ok(success(kind, &current));
        }
        let mut next = (*current).clone();
        let grace = if *kind == PODS {
            pod_grace(&current, options)
        } else {
            0
        };
        mark(kind, &mut next, grace, options.policy);
        let held = !items(&next, "/metadata/finalizers").is_empty();
        let key = (ns.to_owned(), name.to_owned());
        if *kind == NAMESPACES {
            child(&mut next, "status").insert("phase".to_owned(), "Terminating".into());
            return Ok(store_if_changed(state, kind, key, &current, next));
        }
        if held || grace > 0 {
            return Ok(store_if_changed(state, kind, key, &current, next));
        }
        state.take(kind, &key);
        Ok(if *kind == PODS {
            next
        } else {
            success(kind, &current)
        })
    })
}

fn store_if_changed(
    state: &mut State,
    kind: Kind,
    key: (String, String),
    current: &Value,
    next: Value,
) -> Value {
    if next == *current {
        next
    } else {
        (*state.put(kind, key, next)).clone()
    }
}

fn preconditions(
    kind: Kind,
    name: &str,
    current: &Value,
    options: &Options,
) -> Result<(), ApiError> {
    let check = |what: &str, wanted: &str, pointer: &str| {
        let found = text(current, pointer);
        if wanted.is_empty() || wanted == found {
            return Ok(());
        }
        let why = format!(
            "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        Err(ApiError::conflict(kind, name, &why))
    };
    check("UID", &options.uid, "/metadata/uid")?;
    check(
        "ResourceVersion",
        &options.revision,
        "/metadata/resourceVersion",
    )
}

/// A pod that runs nowhere, or no more, needs no grace.
fn pod_grace(pod: &Value, options: &Options) -> i64 {
    let own = integer(pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    let ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if text(pod, "/spec/nodeName").is_empty() || ended {
        return 0;
    }
    let wanted = options.grace.unwrap_or(own).max(0);
    match integer(pod, "/metadata/deletionGracePeriodSeconds") {
        // A second delete can only hurry.
        Some(before) if before > 0 => wanted.min(before),
        _ => wanted,
    }
}

fn mark(kind: Kind, next: &mut Value, grace: i64, policy: Policy) {
    let before = integer(next, "/metadata/deletionGracePeriodSeconds");
    let marked = present(next, "/metadata/deletionTimestamp");
    let generation = integer(next, "/metadata/generation").unwrap_or(0);
    let metadata = child(next, "metadata");
    if !marked || before != Some(grace) {
        let when = Utc::now() + TimeDelta::seconds(grace);
        let when = when.to_rfc3339_opts(SecondsFormat::Secs, true);
        metadata.insert("deletionTimestamp".to_owned(), when.into());
        if *kind != NAMESPACES {
            metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        }
        if kind.generation && !marked {
            metadata.insert("generation".to_owned(), (generation + 1).into());
        }
    }
    let finalizer = match policy {
        Policy::Background => return,
        Policy::Foreground => FOREGROUND,
        Policy::Orphan => ORPHAN,
    };
    if *kind == NAMESPACES || *kind == PODS {
        return;
    }
    let list = metadata.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.contains(&finalizer.into())
    {
        list.push(finalizer.into());
    }
}

pub(super) fn remove_internal(store: &Store, kind: Kind, ns: &str, name: &str) -> Option<Value> {
    let key = (ns.to_owned(), name.to_owned());
    store.transaction(|state| {
        let current = state.get(kind, ns, name)?;
        if items(&current, "/metadata/finalizers").is_empty() {
            return state.take(kind, &key).map(|object| (*object).clone());
        }
        let mut next = (*current).clone();
        let metadata = child(&mut next, "metadata");
        metadata
            .entry("deletionTimestamp")
            .or_insert_with(|| now().into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
        Some(store_if_changed(state, kind, key, &current, next))
    })
}

/// A Success status, as deletes answer.
fn success(kind: Kind, object: &Value) -> Value {
    let mut details = json!({"name": text(object, "/metadata/name")});
    if !kind.group.is_empty() {
        as_map(&mut details).insert("group".to_owned(), kind.group.into());
    }
    as_map(&mut details).insert("kind".to_owned(), kind.plural.into());
    as_map(&mut details).insert("uid".to_owned(), text(object, "/metadata/uid").into());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details})
}
