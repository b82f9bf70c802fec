//! Objects as structured-merge-diff sees them: split into fields by their schema.

use serde_json::{Map, Value};

use super::set::Fields;
use crate::schema::{self, Elements, Shape};

/// The parts of a value that are owned apart.
pub(super) enum Parts<'a> {
    /// One owner for the whole.
    Leaf,
    /// Path element, the element's schema, its value, whether the element is itself a member.
    Fields(Vec<(String, &'static Value, &'a Value, bool)>),
}

/// Takes a value apart.
pub(super) fn parts<'a>(node: &'static Value, value: &'a Value) -> Parts<'a> {
    match (schema::shape(node), value) {
        (
            Shape::Struct {
                fields,
                atomic: false,
                ..
            },
            Value::Object(map),
        ) => Parts::Fields(
            map.iter()
                .filter_map(|(key, value)| {
                    Some((
                        format!("f:{key}"),
                        fields.get(key)?,
                        value,
                        is_hollow(value),
                    ))
                })
                .collect(),
        ),
        (
            Shape::Map {
                item,
                atomic: false,
            },
            Value::Object(map),
        ) => Parts::Fields(
            map.iter()
                .map(|(k, v)| (format!("f:{k}"), item, v, true))
                .collect(),
        ),
        (Shape::List { item, elements }, Value::Array(list)) if elements != Elements::Atomic => {
            Parts::Fields(
                list.iter()
                    .map(|v| (element(&elements, v), item, v, true))
                    .collect(),
            )
        }
        _ => Parts::Leaf,
    }
}

fn is_hollow(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The path element of a list's element.
pub(super) fn element(elements: &Elements, value: &Value) -> String {
    match elements {
        Elements::Keyed(keys) => {
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            let map: Map<String, Value> = sorted
                .iter()
                .map(|&key| {
                    let default = if key == "protocol" {
                        "TCP".into()
                    } else {
                        Value::Null
                    };
                    (key.to_owned(), value.get(key).cloned().unwrap_or(default))
                })
                .collect();
            format!("k:{}", Value::Object(map))
        }
        _ => format!("v:{value}"),
    }
}

/// Every field that a value sets.
pub(super) fn field_set(node: &'static Value, value: &Value) -> Fields {
    let mut set = Fields::default();
    match parts(node, value) {
        Parts::Leaf => set.member = true,
        Parts::Fields(parts) => {
            for (key, node, value, member) in parts {
                let child = set.at(&key);
                child.add(&field_set(node, value));
                child.member |= member;
            }
        }
    }
    set
}

/// What differs between two values.
#[derive(Default)]
pub(super) struct Difference {
    /// New or changed.
    pub(super) changed: Fields,
    /// Gone.
    pub(super) removed: Fields,
}

/// Compares two values field by field.
pub(super) fn compare(node: &'static Value, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    if old == new {
        return difference;
    }
    let (Parts::Fields(before), Parts::Fields(after)) = (parts(node, old), parts(node, new)) else {
        difference.changed.member = true;
        return difference;
    };
    for (key, node, value, _) in &before {
        if !after.iter().any(|(k, ..)| k == key) {
            let mut gone = field_set(node, value);
            gone.member = true;
            difference.removed.children.insert(key.clone(), gone);
        }
    }
    for (key, node, value, _) in &after {
        match before.iter().find(|(k, ..)| k == key) {
            None => {
                let mut added = field_set(node, value);
                added.member = true;
                difference.changed.children.insert(key.clone(), added);
            }
            Some((_, _, old, _)) => {
                let inner = compare(node, old, value);
                if !inner.changed.is_empty() {
                    difference
                        .changed
                        .children
                        .insert(key.clone(), inner.changed);
                }
                if !inner.removed.is_empty() {
                    difference
                        .removed
                        .children
                        .insert(key.clone(), inner.removed);
                }
            }
        }
    }
    difference
}

/// Lays what is applied over what is live.
pub(super) fn merge(node: &'static Value, live: &mut Value, applied: &Value) {
    match (schema::shape(node), &mut *live, applied) {
        (
            Shape::Struct {
                fields,
                atomic: false,
                ..
            },
            Value::Object(live),
            Value::Object(applied),
        ) => {
            for (key, value) in applied {
                if let Some(node) = fields.get(key) {
                    merge(node, live.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (
            Shape::Map {
                item,
                atomic: false,
            },
            Value::Object(live),
            Value::Object(applied),
        ) => {
            for (key, value) in applied {
                merge(item, live.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Shape::List { item, elements }, Value::Array(live), Value::Array(applied))
            if elements != Elements::Atomic =>
        {
            for value in applied {
                let key = element(&elements, value);
                match live
                    .iter_mut()
                    .find(|other| element(&elements, other) == key)
                {
                    Some(found) => merge(item, found, value),
                    None => live.push(value.clone()),
                }
            }
        }
        _ => live.clone_from(applied),
    }
}

/// Removes the fields of `gone` from a value; containers that become empty go too.
pub(super) fn remove(node: &'static Value, value: &mut Value, gone: &Fields) {
    match (schema::shape(node), &mut *value) {
        (
            Shape::Struct {
                fields,
                atomic: false,
                ..
            },
            Value::Object(map),
        ) => {
            remove_from_map(map, gone, |key| fields.get(key));
        }
        (
            Shape::Map {
                item,
                atomic: false,
            },
            Value::Object(map),
        ) => {
            remove_from_map(map, gone, |_| Some(item));
        }
        (Shape::List { item, elements }, Value::Array(list)) if elements != Elements::Atomic => {
            list.retain_mut(|entry| {
                let Some(child) = gone.children.get(&element(&elements, entry)) else {
                    return true;
                };
                if child.member {
                    return false;
                }
                remove(item, entry, child);
                true
            });
        }
        _ => {}
    }
}

fn remove_from_map(
    map: &mut Map<String, Value>,
    gone: &Fields,
    node: impl Fn(&str) -> Option<&'static Value>,
) {
    map.retain(|key, value| {
        let Some(child) = gone.children.get(&format!("f:{key}")) else {
            return true;
        };
        if child.member {
            return false;
        }
        if let Some(node) = node(key) {
            remove(node, value, child);
        }
        !is_hollow(value) && value.as_array().is_none_or(|list| !list.is_empty())
    });
}

/// What structured-merge-diff would complain about in an applied object.
pub(super) fn check(node: &'static Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let found = |value: &Value| match value {
        Value::Object(_) => "map".to_owned(),
        Value::Array(_) => "list".to_owned(),
        other => format!("&value.valueUnstructured{{Value:{other}}}").replace('"', ""),
    };
    match (schema::shape(node), value) {
        (Shape::Struct { fields, .. }, Value::Object(map)) => {
            for (key, value) in map {
                let at = format!("{path}.{key}");
                match fields.get(key) {
                    Some(node) => check(node, value, &at, errors),
                    None => errors.push(format!("{at}: field not declared in schema")),
                }
            }
        }
        (Shape::Map { item, .. }, Value::Object(map)) => {
            for (key, value) in map {
                check(item, value, &format!("{path}.{key}"), errors);
            }
        }
        (Shape::List { item, elements }, Value::Array(list)) => {
            check_list(item, &elements, list, path, errors);
        }
        (_, Value::Null)
        | (Shape::Any | Shape::IntOrString | Shape::Quantity, _)
        | (Shape::Text | Shape::Bytes | Shape::Time, Value::String(_))
        | (Shape::Integer(_) | Shape::Number, Value::Number(_))
        | (Shape::Boolean, Value::Bool(_)) => {}
        (shape, other) => {
            let wanted = match shape {
                Shape::Struct { .. } | Shape::Map { .. } => "map",
                Shape::List { .. } => "list",
                Shape::Integer(_) | Shape::Number => "numeric (int or float)",
                Shape::Boolean => "boolean",
                _ => "string",
            };
            errors.push(format!("{path}: expected {wanted}, got {}", found(other)));
        }
    }
}

fn check_list(
    item: &'static Value,
    elements: &Elements,
    list: &[Value],
    path: &str,
    errors: &mut Vec<String>,
) {
    let mut seen = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let mut at = format!("{path}[{index}]");
        if let Elements::Keyed(keys) = elements {
            let missing = keys
                .iter()
                .find(|&&k| k != "protocol" && value.get(k).is_none());
            if let Some(key) = missing {
                errors.push(format!(
                    "{path}: element {index}: associative list with keys has an element that \
                     omits key field \"{key}\" (and doesn't have default value)"
                ));
                continue;
            }
        }
        if *elements != Elements::Atomic {
            let key = element(elements, value);
            let mut one = Fields::default();
            one.at(&key).member = true;
            let shown = one.paths().concat();
            if seen.contains(&key) {
                errors.push(format!("{path}: duplicate entries for key {shown}"));
            }
            seen.push(key);
            at = format!("{path}{shown}");
        }
        check(item, value, &at, errors);
    }
}
