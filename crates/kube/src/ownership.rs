//! Which manager has set which field of an object's specification, by `metadata.managedFields`.
//!
//! Server-side apply leaves the fields of other managers as they are. Where berth replaces a whole
//! specification, it first takes their fields over, so that its apply removes what it does not send.
//! Follows <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management> and the
//! format of <https://pkg.go.dev/sigs.k8s.io/structured-merge-diff/v6/fieldpath>.

use std::fmt;

use berth_core::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::{Client, ClusterError, Query, Resource};

/// The field manager of all that berth applies.
pub const MANAGER: &str = "berth";

/// How often an object is read again that has changed before it could be written.
const ATTEMPTS: u32 = 5;

/// A part of `spec` that stays with its manager, as path elements of `fieldsV1`.
pub type Kept<'a> = &'a [&'a [&'a str]];

/// A field that another manager has set, or has set otherwise than berth did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignField {
    /// Its path, such as `spec.template.spec.containers[app].env[DEBUG]`.
    pub path: String,
    /// The manager, such as `kubectl-set`.
    pub manager: String,
}

impl fmt::Display for ForeignField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.manager)
    }
}

/// Returns the fields of `spec` that other managers have set and that are not berth's as well, but for
/// those that are kept.
#[must_use]
pub fn foreign_fields(metadata: &ObjectMeta, kept: Kept<'_>) -> Vec<ForeignField> {
    let entries = entries(metadata);
    let ours = entries
        .iter()
        .find(|entry| is_ours(entry))
        .and_then(spec_of);
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| is_foreign(entry)) {
        let Some(spec) = spec_of(entry) else { continue };
        let (taken, _) = split(spec, kept);
        let manager = entry.manager.as_deref().unwrap_or("unknown");
        name(&taken, ours, "spec", &mut |path| {
            found.push(ForeignField {
                path,
                manager: manager.to_owned(),
            });
        });
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the labels and annotations of other managers that applying `wanted` sets to another value. The
/// rest of theirs stays: an apply changes no field that it does not send.
#[must_use]
pub fn replaced_metadata(live: &ObjectMeta, wanted: &Value) -> Vec<ForeignField> {
    let mut found = Vec::new();
    for (part, live_values) in [("annotations", &live.annotations), ("labels", &live.labels)] {
        let wanted = wanted.pointer(&format!("/metadata/{part}"));
        for (key, wanted) in wanted.and_then(Value::as_object).into_iter().flatten() {
            let live_value = live_values.as_ref().and_then(|values| values.get(key));
            if live_value.is_none_or(|live| wanted.as_str() == Some(live)) {
                continue;
            }
            let (part_key, field_key) = (format!("f:{part}"), format!("f:{key}"));
            let is_set_in = |entry: &&ManagedFieldsEntry| {
                let fields = entry
                    .fields_v1
                    .as_ref()
                    .and_then(|it| it.0.get("f:metadata"));
                fields.is_some_and(|it| {
                    it.get(&part_key)
                        .and_then(|it| it.get(&field_key))
                        .is_some()
                })
            };
            let set_by = entries(live)
                .iter()
                .filter(|entry| is_foreign(entry))
                .filter(is_set_in);
            found.extend(set_by.map(|entry| ForeignField {
                path: format!("metadata.{part}[{key}]"),
                manager: entry.manager.as_deref().unwrap_or("unknown").to_owned(),
            }));
        }
    }
    found
}

/// Returns whether a manager other than berth has set the field of `spec` with this name.
#[must_use]
pub fn is_set_by_others(metadata: &ObjectMeta, field: &str) -> bool {
    let key = format!("f:{field}");
    (entries(metadata).iter())
        .filter(|entry| is_foreign(entry))
        .any(|entry| spec_of(entry).is_some_and(|spec| spec.get(&key).is_some()))
}

/// Returns the JSON patch (RFC 6902) that makes berth the only manager of `spec`, but for what is kept.
/// It changes no field, and fails when the object has been changed since it was read. None when no
/// other manager has set anything there.
#[must_use]
fn take_over(metadata: &ObjectMeta, kept: Kept<'_>) -> Option<Value> {
    let mut entries = entries(metadata).to_vec();
    let mut all = json!({});
    for entry in entries.iter_mut().filter(|entry| is_foreign(entry)) {
        let Some(FieldsV1(Value::Object(fields))) = &mut entry.fields_v1 else {
            continue;
        };
        let Some(spec) = fields.remove("f:spec") else {
            continue;
        };
        let (taken, rest) = split(&spec, kept);
        if !is_empty(&rest) {
            fields.insert("f:spec".to_owned(), rest);
        }
        union(&mut all, taken);
    }
    if is_empty(&all) {
        return None;
    }
    if !entries.iter().any(is_ours) {
        let new = ManagedFieldsEntry {
            manager: Some(MANAGER.to_owned()),
            operation: Some("Apply".to_owned()),
            fields_v1: None,
            subresource: None,
            ..entries.first().cloned().unwrap_or_default()
        };
        entries.insert(0, new);
    }
    let ours = entries.iter_mut().find(|entry| is_ours(entry))?;
    let fields = ours.fields_v1.get_or_insert(FieldsV1(json!({})));
    union(&mut fields.0, json!({ "f:spec": all }));
    entries.retain(|entry| (entry.fields_v1.as_ref()).is_some_and(|fields| !is_empty(&fields.0)));
    Some(json!([
        { "op": "replace", "path": "/metadata/resourceVersion", "value": metadata.resource_version },
        { "op": "replace", "path": "/metadata/managedFields", "value": entries },
    ]))
}

/// Makes berth the only manager of an object's `spec`, but for what is kept, so that its next apply
/// replaces it. No trip when it is that already, else one.
///
/// # Errors
/// When the cluster can't be asked or refuses, or the object keeps changing meanwhile.
pub async fn own_spec(
    cluster: &Client,
    resource: Resource,
    namespace: &Namespace,
    metadata: &ObjectMeta,
    kept: Kept<'_>,
) -> Result<(), ClusterError> {
    let mut metadata = metadata.clone();
    let mut attempts = 0;
    loop {
        let name = metadata.name.clone().unwrap_or_default();
        let Some(patch) = take_over(&metadata, kept) else {
            return Ok(());
        };
        attempts += 1;
        match cluster.patch(resource, namespace, &name, &patch).await {
            // The controller has written its status meanwhile.
            Err(ClusterError::Modified { .. }) if attempts < ATTEMPTS => {}
            Err(ClusterError::NotFound { .. }) => return Ok(()),
            done => return done,
        }
        let query = Query::in_namespace([resource], namespace).named(&name);
        let found = cluster.find(&[query.with_managers()]).await?;
        let Some(now) = found.metadata()?.pop() else {
            return Ok(());
        };
        metadata = now;
    }
}

fn entries(metadata: &ObjectMeta) -> &[ManagedFieldsEntry] {
    metadata.managed_fields.as_deref().unwrap_or_default()
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Whether another manager than berth has written it. What admission plugins change in an apply of
/// berth is recorded under its name too.
fn is_foreign(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() != Some(MANAGER)
}

fn spec_of(entry: &ManagedFieldsEntry) -> Option<&Value> {
    entry.fields_v1.as_ref()?.0.get("f:spec")
}

/// The fields that are taken, and those that are kept.
fn split(spec: &Value, kept: Kept<'_>) -> (Value, Value) {
    let (mut taken, mut rest) = (spec.clone(), json!({}));
    for path in kept {
        if let Some(mut part) = remove(&mut taken, path) {
            for key in path.iter().rev() {
                part = json!({ *key: part });
            }
            union(&mut rest, part);
        }
    }
    (taken, rest)
}

/// Takes what is at a path, and its parents where nothing else is left of them.
fn remove(fields: &mut Value, path: &[&str]) -> Option<Value> {
    let (key, further) = path.split_first()?;
    let map = fields.as_object_mut()?;
    if further.is_empty() {
        return map.remove(*key);
    }
    let child = map.get_mut(*key)?;
    let removed = remove(child, further);
    if removed.is_some() && is_empty(child) {
        map.remove(*key);
    }
    removed
}

/// Adds the fields of `more`. A field with nothing below it is itself in the set; with fields below it,
/// it is when it has the key `.`.
fn union(fields: &mut Value, more: Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else {
        return;
    };
    for (key, more) in more {
        match fields.get_mut(&key) {
            None => {
                fields.insert(key, more);
            }
            Some(present) => {
                let is_leaf = is_empty(present) != is_empty(&more);
                union(present, more);
                if let (true, Value::Object(present)) = (is_leaf && key != ".", present) {
                    present.insert(".".to_owned(), json!({}));
                }
            }
        }
    }
}

fn is_empty(fields: &Value) -> bool {
    fields.as_object().is_none_or(Map::is_empty)
}

/// Names the fields that are not in `ours`: a list's item as a whole when it is not.
fn name(fields: &Value, ours: Option<&Value>, path: &str, found: &mut dyn FnMut(String)) {
    for (key, below) in fields.as_object().into_iter().flatten() {
        if key == "." {
            continue;
        }
        let ours = ours.and_then(|ours| ours.get(key));
        let is_item = key.starts_with("k:") || key.starts_with("v:");
        let path = match key.split_once(':') {
            Some(("f", field)) => format!("{path}.{field}"),
            Some((_, item)) => format!("{path}[{}]", item_name(item)),
            None => format!("{path}.{key}"),
        };
        let is_whole = is_empty(below) || (is_item && below.get(".").is_some());
        match (is_whole, ours) {
            (true, None) => found(path),
            _ => name(below, ours, &path, found),
        }
    }
}

/// The values of an item's keys: `app`, or `8080,TCP`.
fn item_name(key: &str) -> String {
    let parsed: Value = serde_json::from_str(key).unwrap_or_else(|_| key.into());
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match &parsed {
        Value::Object(keys) => keys.values().map(text).collect::<Vec<_>>().join(","),
        other => text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &Value) -> ObjectMeta {
        serde_json::from_value(json!({ "resourceVersion": "7", "managedFields": entries })).unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "apps/v1",
            "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }

    fn ours() -> Value {
        entry(
            "berth",
            "Apply",
            &json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
                "k:{\"name\":\"app\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:env": {
                    "k:{\"name\":\"A\"}": { ".": {}, "f:name": {}, "f:value": {} } } } } } } } }),
        )
    }

    fn theirs() -> [Value; 3] {
        [
            entry(
                "kubectl-set",
                "Update",
                &json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
                    "k:{\"name\":\"app\"}": { "f:env": { ".": {},
                        "k:{\"name\":\"DEBUG\"}": { ".": {}, "f:name": {}, "f:value": {} } } } } } } } }),
            ),
            entry(
                "kubectl-patch",
                "Update",
                &json!({ "f:spec": { "f:replicas": {}, "f:paused": {}, "f:template": {
                    "f:metadata": { "f:annotations": { "f:x": {} } },
                    "f:spec": {
                        "f:containers": { "k:{\"name\":\"side\"}": { ".": {}, "f:image": {},
                            "f:name": {} }, "k:{\"name\":\"app\"}": { "f:image": {} } },
                        "f:volumes": { ".": {}, "k:{\"name\":\"host\"}": { ".": {},
                            "f:hostPath": { ".": {}, "f:path": {} } } } } } } }),
            ),
            entry(
                "kube-controller-manager",
                "Update",
                &json!({ "f:metadata": { "f:annotations": { "f:revision": {} } }, "f:status": {} }),
            ),
        ]
    }

    const KEPT: Kept<'static> = &[&["f:replicas"], &["f:template", "f:metadata"]];

    #[test]
    fn foreign_fields_are_named_with_their_managers() {
        let [set, patch, status] = theirs();
        let metadata = metadata(&json!([ours(), set, patch, status]));
        let named: Vec<_> = foreign_fields(&metadata, KEPT)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            named,
            [
                "spec.paused (kubectl-patch)",
                "spec.template.spec.containers[app].env[DEBUG] (kubectl-set)",
                "spec.template.spec.containers[side] (kubectl-patch)",
                "spec.template.spec.volumes[host] (kubectl-patch)",
            ]
        );
        assert!(is_set_by_others(&metadata, "replicas"));
        assert!(!is_set_by_others(&metadata, "strategy"));
    }

    #[test]
    fn only_values_that_an_apply_changes_are_named_of_labels_and_annotations() {
        let annotated = |manager: &str, keys: &[&str]| {
            let keys: Map<_, _> =
                (keys.iter().map(|key| (format!("f:{key}"), json!({})))).collect();
            entry(
                manager,
                "Update",
                &json!({ "f:metadata": { "f:annotations": keys } }),
            )
        };
        let mut live = metadata(&json!([
            annotated("berth", &["a/own", "a/same"]),
            annotated("kubectl-annotate", &["a/scheme", "a/same", "x/note"]),
            entry(
                "kubectl-label",
                "Update",
                &json!({ "f:metadata": { "f:labels": { "f:app": {} } } })
            ),
        ]));
        let map = |value: Value| serde_json::from_value(value).unwrap();
        live.annotations =
            map(json!({ "a/own": "old", "a/same": "1", "a/scheme": "internal", "x/note": "n" }));
        live.labels = map(json!({ "app": "theirs" }));
        let wanted = json!({ "metadata": {
            "annotations": { "a/own": "new", "a/same": "1", "a/scheme": "public", "a/added": "1" },
            "labels": { "app": "ours" } } });
        let named: Vec<_> = (replaced_metadata(&live, &wanted).iter())
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            named,
            [
                "metadata.annotations[a/scheme] (kubectl-annotate)",
                "metadata.labels[app] (kubectl-label)",
            ]
        );
        assert_eq!(replaced_metadata(&live, &json!({})), []);
    }

    #[test]
    fn what_is_taken_over_is_berths_alone_and_what_is_kept_stays() {
        let [set, patch, status] = theirs();
        let metadata = metadata(&json!([ours(), set, patch, status.clone()]));
        let patch = take_over(&metadata, KEPT).unwrap();
        assert_eq!(patch[0]["value"], "7");
        let entries = patch[1]["value"].as_array().unwrap();
        let managers: Vec<_> = entries.iter().map(|it| &it["manager"]).collect();
        assert_eq!(
            managers,
            ["berth", "kubectl-patch", "kube-controller-manager"]
        );
        assert_eq!(
            entries[1]["fieldsV1"],
            json!({ "f:spec": { "f:replicas": {}, "f:template": {
                "f:metadata": { "f:annotations": { "f:x": {} } } } } })
        );
        assert_eq!(entries[2]["fieldsV1"], status["fieldsV1"]);
        let containers = &entries[0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"];
        let env = &containers["k:{\"name\":\"app\"}"]["f:env"];
        assert_eq!(env.as_object().unwrap().len(), 3, "{env}");
        assert!(containers["k:{\"name\":\"side\"}"]["f:image"].is_object());

        // A second time there is nothing to take.
        let again: ObjectMeta =
            serde_json::from_value(json!({ "managedFields": entries })).unwrap();
        assert_eq!(take_over(&again, KEPT), None);
        assert_eq!(foreign_fields(&again, KEPT), []);
    }

    #[test]
    fn fields_of_both_are_taken_and_not_named() {
        let both = entry("kubectl", "Update", &ours()["fieldsV1"]);
        let metadata = metadata(&json!([ours(), both]));
        assert_eq!(foreign_fields(&metadata, &[]), []);
        let patch = take_over(&metadata, &[]).unwrap();
        assert_eq!(patch[1]["value"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_object_without_an_entry_of_berths_gets_one() {
        let [set, ..] = theirs();
        let metadata = metadata(&json!([set]));
        let patch = take_over(&metadata, &[]).unwrap();
        assert_eq!(patch[1]["value"][0]["manager"], "berth");
        assert_eq!(patch[1]["value"][0]["operation"], "Apply");
        assert_eq!(patch[1]["value"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_field_keeps_its_own_place_in_a_union() {
        let mut fields = json!({ "f:env": {} });
        union(&mut fields, json!({ "f:env": { "k:a": {} } }));
        assert_eq!(fields, json!({ "f:env": { ".": {}, "k:a": {} } }));
        let mut fields = json!({ "f:env": { "k:a": {} } });
        union(&mut fields, json!({ "f:env": { "k:b": { ".": {} } } }));
        assert_eq!(
            fields,
            json!({ "f:env": { "k:a": {}, "k:b": { ".": {} } } })
        );
    }
}
