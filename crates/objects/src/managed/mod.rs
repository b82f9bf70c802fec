//! Who owns which field: `metadata.managedFields`, kept up by every write, and server-side apply.

mod set;
mod typed;

use serde_json::{Map, Value, json};

use crate::ids::now;
use crate::json::{as_map, child, text};
use crate::resources::Kind;
use crate::schema;
use crate::status_error::ApiError;
use set::Fields;

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn is(&self, manager: &str, operation: &str, subresource: &str) -> bool {
        self.manager == manager && self.operation == operation && self.subresource == subresource
    }

    /// As conflict messages name a manager.
    fn display(&self) -> String {
        let mut shown = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            shown = format!("{shown} with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            shown = format!("{shown} using {}", self.api_version);
        }
        shown
    }
}

fn read(object: &Value) -> Vec<Entry> {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let entry = |entry: &Value| Entry {
        manager: text(entry, "/manager").to_owned(),
        operation: text(entry, "/operation").to_owned(),
        api_version: text(entry, "/apiVersion").to_owned(),
        subresource: text(entry, "/subresource").to_owned(),
        time: text(entry, "/time").to_owned(),
        fields: Fields::read(entry.get("fieldsV1").unwrap_or(&Value::Null)),
    };
    entries.into_iter().flatten().map(entry).collect()
}

fn write(object: &mut Value, entries: &[Entry]) {
    let list: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(|entry| {
            let mut shown = json!({
                "manager": entry.manager,
                "operation": entry.operation,
                "apiVersion": entry.api_version,
                "time": entry.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": entry.fields.write(),
            });
            if !entry.subresource.is_empty() {
                as_map(&mut shown)
                    .insert("subresource".to_owned(), entry.subresource.as_str().into());
            }
            shown
        })
        .collect();
    child(object, "metadata").insert("managedFields".to_owned(), list.into());
}

/// Fields that nobody owns.
fn strip(fields: &mut Fields) {
    for key in ["f:apiVersion", "f:kind"] {
        fields.children.remove(key);
    }
    if let Some(metadata) = fields.children.get_mut("f:metadata") {
        metadata.member = false;
        for key in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            metadata.children.remove(&format!("f:{key}"));
        }
    }
    fields.children.retain(|_, child| !child.is_empty());
}

/// Records an ordinary write: what `manager` changed between `old` (null when created) and `new`
/// is now its own.
pub(super) fn track(kind: Kind, old: &Value, new: &mut Value, manager: &str, subresource: &str) {
    let node = schema::root(kind.schema);
    let empty = Value::Object(Map::new());
    let mut difference = typed::compare(node, if old.is_null() { &empty } else { old }, new);
    strip(&mut difference.changed);
    strip(&mut difference.removed);
    let mut entries = read(new);
    for entry in &mut entries {
        entry.fields.subtract(&difference.removed);
        if !entry.is(manager, "Update", subresource) {
            entry.fields.subtract(&difference.changed);
        }
    }
    if !difference.changed.is_empty() {
        if let Some(mine) = entries
            .iter_mut()
            .find(|e| e.is(manager, "Update", subresource))
        {
            mine.fields.add(&difference.changed);
            mine.time = now();
        } else {
            entries.push(Entry {
                manager: manager.to_owned(),
                operation: "Update".to_owned(),
                api_version: kind.api_version(),
                subresource: subresource.to_owned(),
                time: now(),
                fields: difference.changed,
            });
        }
    }
    write(new, &entries);
}

/// What server-side apply has to know.
pub(super) struct Apply<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// `status`, or empty.
    pub subresource: &'a str,
    /// Whether fields are taken from other managers.
    pub force: bool,
}

/// Refuses what the schema does not know.
pub fn check(kind: Kind, applied: &Value) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    typed::check(schema::root(kind.schema), applied, "", &mut errors);
    let problem = match errors.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let name = text(applied, "/metadata/name");
    let namespace = text(applied, "/metadata/namespace");
    let message = format!(
        "failed to create typed patch object ({namespace}/{name}; {}/{}, Kind={}): {problem}",
        kind.group, kind.version, kind.kind
    );
    Err(ApiError::new(500, "", message))
}

/// Merges an applied object into the live one (null when there is none).
pub(super) fn apply(
    kind: Kind,
    live: &Value,
    applied: &Value,
    how: &Apply<'_>,
) -> Result<Value, ApiError> {
    let node = schema::root(kind.schema);
    let mut fields = typed::field_set(node, applied);
    strip(&mut fields);
    let mut entries = read(live);
    let last = entries
        .iter()
        .position(|entry| entry.is(how.manager, "Apply", how.subresource))
        .map(|at| entries.remove(at));
    let mut merged = if live.is_null() {
        json!({})
    } else {
        live.clone()
    };
    typed::merge(node, &mut merged, applied);

    if let Some(last) = &last {
        let mut dropped = last.fields.clone();
        dropped.subtract(&fields);
        for entry in &entries {
            dropped.subtract(&entry.fields);
        }
        keep_parents(&mut dropped, &fields, &entries);
        typed::remove(node, &mut merged, &dropped);
    }

    if !live.is_null() {
        let difference = typed::compare(node, live, &merged);
        settle(&mut entries, &difference, how.force)?;
    }
    let time = match &last {
        Some(last) if last.fields == fields && merged == *live => last.time.clone(),
        _ => now(),
    };
    entries.insert(
        0,
        Entry {
            manager: how.manager.to_owned(),
            operation: "Apply".to_owned(),
            api_version: kind.api_version(),
            subresource: how.subresource.to_owned(),
            time,
            fields,
        },
    );
    write(&mut merged, &entries);
    Ok(merged)
}

/// A parent that somebody still owns something under is not removed as a whole.
fn keep_parents(dropped: &mut Fields, mine: &Fields, others: &[Entry]) {
    fn keep(dropped: &mut Fields, owned: &Fields) {
        if !owned.is_empty() {
            dropped.member = false;
        }
        for (key, child) in &mut dropped.children {
            if let Some(owned) = owned.children.get(key) {
                keep(child, owned);
            }
        }
    }
    keep(dropped, mine);
    for entry in others {
        keep(dropped, &entry.fields);
    }
}

/// Finds the fields that were taken from others; without force that is a conflict.
fn settle(
    entries: &mut [Entry],
    difference: &typed::Difference,
    force: bool,
) -> Result<(), ApiError> {
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for entry in entries.iter() {
        for path in entry.fields.intersection(&difference.changed).paths() {
            conflicts.push((entry.display(), path));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict(conflicts));
    }
    for entry in entries {
        entry.fields.subtract(&difference.changed);
        entry.fields.subtract(&difference.removed);
    }
    Ok(())
}

fn conflict(mut conflicts: Vec<(String, String)>) -> ApiError {
    conflicts.sort();
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(manager, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"),
                "field": path})
        })
        .collect();
    let text = match conflicts.as_slice() {
        [(manager, path)] => format!("1 conflict: conflict with {manager}: {path}"),
        many => {
            let mut lines = Vec::new();
            let mut last = "";
            for (manager, path) in many {
                if manager != last {
                    lines.push(format!("conflicts with {manager}:"));
                    last = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("{} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    ApiError {
        code: 409,
        reason: "Conflict",
        message: format!("Apply failed with {text}"),
        details: json!({"causes": causes}),
    }
}

#[cfg(test)]
mod tests;
