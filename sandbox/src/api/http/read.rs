//! get and list.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::{Call, answer, table, unknown_path};
use berth_objects::json::{as_map, integer, text};
use berth_objects::resources::Kind;
use berth_objects::status_error::ApiError;

/// One object, or the error that it is missing.
pub(super) fn find(call: &Call, kind: Kind) -> Result<Value, ApiError> {
    let found = call
        .server
        .store
        .get(kind, call.namespace(kind), &call.info.name);
    found.ok_or_else(|| ApiError::not_found(kind, &call.info.name))
}

pub(super) fn get(call: &Call) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    if call.info.subresource == "status" && !kind.status {
        return Err(unknown_path());
    }
    let object = find(call, kind)?;
    if table::wanted(&call.accept) {
        let full = call.parameters.get("includeObject") == "Object";
        let revision = text(&object, "/metadata/resourceVersion").to_owned();
        return Ok(answer::json(
            200,
            &table::of(kind, &[Arc::new(object)], &revision, full),
        ));
    }
    Ok(answer::json(200, &object))
}

/// The `autoscaling/v1` Scale of a workload.
pub(super) fn scale(call: &Call) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    if !kind.scale {
        return Err(unknown_path());
    }
    Ok(answer::json(200, &scale_of(&find(call, kind)?)))
}

pub(super) fn scale_of(object: &Value) -> Value {
    let labels = object
        .pointer("/spec/selector/matchLabels")
        .and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": text(object, "/metadata/name"),
            "namespace": text(object, "/metadata/namespace"),
            "uid": text(object, "/metadata/uid"),
            "resourceVersion": text(object, "/metadata/resourceVersion"),
            "creationTimestamp": text(object, "/metadata/creationTimestamp"),
        },
        "spec": {"replicas": integer(object, "/spec/replicas").unwrap_or(1)},
        "status": {
            "replicas": integer(object, "/status/replicas").unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}

pub(super) fn list(call: &Call) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let selection = call.selection(kind)?;
    let (mut objects, revision) = call.server.store.list_at(kind, selection.namespace());
    objects.retain(|object| selection.matches(object));

    // The continue token is a place in the order of keys; changes in between may show.
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    let start = after(&objects, call.parameters.get("continue"))?;
    let mut page: Vec<Arc<Value>> = objects.split_off(start);
    let limit = call
        .parameters
        .number("limit")
        .and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|&limit| limit > 0 && limit < page.len()) {
        let rest = page.split_off(limit);
        let last = page.last().map(|object| key(object)).unwrap_or_default();
        let map = as_map(&mut metadata);
        map.insert("continue".to_owned(), STANDARD_NO_PAD.encode(last).into());
        map.insert("remainingItemCount".to_owned(), rest.len().into());
    }
    if table::wanted(&call.accept) {
        let full = call.parameters.get("includeObject") == "Object";
        let mut table = table::of(kind, &page, &revision.to_string(), full);
        as_map(&mut table).insert("metadata".to_owned(), metadata);
        return Ok(answer::json(200, &table));
    }
    // Elements of a list do not repeat its kind.
    let items: Vec<Value> = page
        .into_iter()
        .map(|object| {
            let mut object = Arc::unwrap_or_clone(object);
            let map = as_map(&mut object);
            map.shift_remove("kind");
            map.shift_remove("apiVersion");
            object
        })
        .collect();
    let list = json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    });
    Ok(answer::json(200, &list))
}

fn key(object: &Value) -> String {
    format!(
        "{}/{}",
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

fn after(objects: &[Arc<Value>], token: &str) -> Result<usize, ApiError> {
    if token.is_empty() {
        return Ok(0);
    }
    let decoded = STANDARD_NO_PAD
        .decode(token)
        .ok()
        .and_then(|b| String::from_utf8(b).ok());
    let last = decoded
        .ok_or_else(|| ApiError::bad_request("continue key is not valid: illegal base64 data"))?;
    Ok(objects
        .iter()
        .position(|object| key(object) > last)
        .unwrap_or(objects.len()))
}
