//! The strategic-merge patch and its directives.

use serde_json::{Map, Value};

use crate::json::text;
use crate::schema::{self, Shape};
use crate::status_error::ApiError;

/// Merges a patch into an object of a schema.
pub(super) fn merge(
    node: &'static Value,
    target: &mut Value,
    patch: &Value,
) -> Result<(), ApiError> {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return Ok(());
    };
    match text_of(patch, "$patch") {
        "" | "merge" => {}
        "replace" => {
            let mut plain = patch.clone();
            plain.shift_remove("$patch");
            *target = Value::Object(plain);
            return Ok(());
        }
        "delete" => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        other => {
            return Err(ApiError::bad_request(format!(
                "unknown patch type found in patch: \"{other}\""
            )));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return Ok(());
    };
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| kept.iter().any(|k| k.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(Value::Array(list)) = target.get_mut(field) {
                list.retain(|entry| !gone.contains(entry));
            }
        } else if !key.starts_with('$') {
            merge_field(node, target, key, value)?;
        }
    }
    for (key, order) in patch {
        if let Some(field) = key.strip_prefix("$setElementOrder/")
            && let (Some(Value::Array(list)), Some(order)) =
                (target.get_mut(field), order.as_array())
        {
            arrange(
                list,
                order,
                field_node(node, field).and_then(schema::patch_key),
            );
        }
    }
    Ok(())
}

fn field_node(node: &'static Value, field: &str) -> Option<&'static Value> {
    match schema::shape(node) {
        Shape::Struct { fields, .. } => fields.get(field),
        Shape::Map { item, .. } => Some(item),
        _ => None,
    }
}

fn merge_field(
    node: &'static Value,
    target: &mut Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), ApiError> {
    static ANY: Value = Value::Null;
    if value.is_null() {
        target.shift_remove(key);
        return Ok(());
    }
    let node = field_node(node, key).unwrap_or(&ANY);
    let slot = target.entry(key.to_owned()).or_insert(Value::Null);
    match value {
        Value::Object(_) => merge(node, slot, value),
        Value::Array(patch) => {
            let mut list = slot.as_array().cloned().unwrap_or_default();
            match (schema::shape(node), schema::patch_key(node)) {
                (Shape::List { item, .. }, Some(by)) => merge_list(item, &mut list, patch, by)?,
                _ if schema::patch_merges(node) => {
                    list.extend(
                        patch
                            .iter()
                            .filter(|v| !list.contains(v))
                            .cloned()
                            .collect::<Vec<_>>(),
                    );
                }
                _ => list.clone_from(patch),
            }
            *slot = Value::Array(list);
            Ok(())
        }
        _ => {
            slot.clone_from(value);
            Ok(())
        }
    }
}

fn merge_list(
    item: &'static Value,
    list: &mut Vec<Value>,
    patch: &[Value],
    key: &'static str,
) -> Result<(), ApiError> {
    let whole = |entry: &&Value| text(entry, "/$patch") == "replace" && entry.get(key).is_none();
    if patch.iter().any(|entry| whole(&entry)) {
        *list = patch
            .iter()
            .filter(|entry| !whole(entry))
            .cloned()
            .collect();
        return Ok(());
    }
    for entry in patch {
        let Some(by) = entry.get(key) else {
            return Err(ApiError::bad_request(format!(
                "map: {entry} does not contain declared merge key: {key}"
            )));
        };
        let at = list.iter().position(|old| old.get(key) == Some(by));
        if text(entry, "/$patch") == "delete" {
            if let Some(at) = at {
                list.remove(at);
            }
            continue;
        }
        if let Some(old) = at.and_then(|at| list.get_mut(at)) {
            merge(item, old, entry)?;
        } else {
            let mut new = Value::Null;
            merge(item, &mut new, entry)?;
            list.push(new);
        }
    }
    Ok(())
}

fn arrange(list: &mut [Value], order: &[Value], key: Option<&str>) {
    let place = |entry: &Value| {
        let same = |wanted: &Value| match key {
            Some(key) => wanted.get(key) == entry.get(key),
            None => wanted == entry,
        };
        order.iter().position(same).unwrap_or(usize::MAX)
    };
    list.sort_by_key(place);
}

fn text_of<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or("")
}
