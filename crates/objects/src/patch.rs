//! JSON patch, merge patch and strategic-merge patch.

mod strategic;

use serde_json::{Map, Value};

use crate::json::text;
use crate::resources::Kind;
use crate::schema;
use crate::status_error::ApiError;

/// A patch that has been read but not applied.
pub enum Patch {
    /// RFC 6902
    Json(Vec<Value>),
    /// RFC 7386
    Merge(Value),
    /// Lists are merged by the keys of the schema.
    Strategic(Value),
}

impl Patch {
    /// Reads a patch of a content type.
    pub fn read(content: &str, value: Value) -> Result<Self, ApiError> {
        match content {
            "application/json-patch+json" => match value {
                Value::Array(steps) => Ok(Self::Json(steps)),
                _ => Err(ApiError::bad_request(
                    "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
                )),
            },
            "application/merge-patch+json" => Ok(Self::Merge(value)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(value)),
            other => Err(ApiError::new(
                415,
                "UnsupportedMediaType",
                format!(
                    "the body of the request was in an unknown format - accepted media types \
                     include: application/json-patch+json, application/merge-patch+json, \
                     application/apply-patch+yaml (got {other})"
                ),
            )),
        }
    }

    /// The object after the patch.
    pub fn apply(&self, kind: Kind, current: &Value) -> Result<Value, ApiError> {
        let mut next = current.clone();
        match self {
            Self::Json(steps) => {
                for step in steps {
                    json_step(&mut next, step).ok_or_else(rejected)?;
                }
            }
            Self::Merge(patch) => merge(&mut next, patch),
            Self::Strategic(patch) => {
                strategic::merge(schema::root(kind.schema), &mut next, patch)?;
            }
        }
        Ok(next)
    }
}

fn rejected() -> ApiError {
    ApiError::new(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.shift_remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// None means that the step can't be done.
fn json_step(target: &mut Value, step: &Value) -> Option<()> {
    let path = step.get("path")?.as_str()?;
    match text(step, "/op") {
        "add" => json_add(target, path, step.get("value")?.clone()),
        "remove" => json_remove(target, path).map(drop),
        "replace" => {
            *target.pointer_mut(path)? = step.get("value")?.clone();
            Some(())
        }
        "move" => {
            let moved = json_remove(target, step.get("from")?.as_str()?)?;
            json_add(target, path, moved)
        }
        "copy" => {
            let copied = target.pointer(step.get("from")?.as_str()?)?.clone();
            json_add(target, path, copied)
        }
        "test" => {
            let wanted = step.get("value").unwrap_or(&Value::Null);
            (target.pointer(path).unwrap_or(&Value::Null) == wanted).then_some(())
        }
        _ => None,
    }
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn json_add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *target = value;
        return Some(());
    }
    let (parent, key) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let index: usize = key.parse().ok()?;
            (index <= list.len()).then(|| list.insert(index, value))?;
        }
        _ => return None,
    }
    Some(())
}

fn json_remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(&key),
        Value::Array(list) => {
            let index: usize = key.parse().ok()?;
            (index < list.len()).then(|| list.remove(index))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::DEPLOYMENTS;

    fn containers(patch: &Value) -> Value {
        let current = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}], "args": ["1", "2"]},
            {"name": "b", "image": "y"},
        ]}}}});
        let patch = json!({"spec": {"template": {"spec": patch}}});
        let next = Patch::Strategic(patch)
            .apply(&DEPLOYMENTS, &current)
            .unwrap_or_default();
        next.pointer("/spec/template/spec/containers")
            .cloned()
            .unwrap_or_default()
    }

    #[test]
    fn a_strategic_patch_merges_lists_by_their_keys() {
        assert_eq!(
            containers(&json!({"containers": [
                {"name": "a", "env": [{"name": "B", "value": "2"}], "args": ["3"]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "z", "stdin": null},
            ]})),
            json!([
                {"name": "a", "image": "x", "args": ["3"],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "c", "image": "z"},
            ])
        );
        assert_eq!(
            containers(&json!({"containers": [{"name": "d"}, {"$patch": "replace"}]})),
            json!([{"name": "d"}])
        );
        let ordered = containers(&json!({
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": []}));
        assert_eq!(text(&ordered, "/0/name"), "b");
    }

    #[test]
    fn json_and_merge_patches() {
        let current = json!({"a": {"b": [1, 2]}, "c": 3});
        let steps = json!([{"op": "add", "path": "/a/b/-", "value": 3},
            {"op": "remove", "path": "/c"}, {"op": "test", "path": "/a/b/0", "value": 1}]);
        let Value::Array(steps) = steps else { return };
        let next = Patch::Json(steps).apply(&DEPLOYMENTS, &current).ok();
        assert_eq!(next, Some(json!({"a": {"b": [1, 2, 3]}})));
        let next = Patch::Merge(json!({"a": {"x": 1}, "c": null}))
            .apply(&DEPLOYMENTS, &current)
            .ok();
        assert_eq!(next, Some(json!({"a": {"b": [1, 2], "x": 1}})));
    }
}
