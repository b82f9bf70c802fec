use serde_json::json;

use super::*;
use crate::resources::{CONFIGMAPS, DEPLOYMENTS};

fn by(manager: &str, force: bool) -> Apply<'_> {
    Apply {
        manager,
        subresource: "",
        force,
    }
}

fn config(data: impl Into<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data.into()})
}

#[test]
fn a_field_of_another_manager_is_a_conflict_in_the_recorded_words() {
    let live = apply(
        &CONFIGMAPS,
        &Value::Null,
        &config(json!({"a": "1"})),
        &by("other", false),
    );
    let live = live.unwrap_or_default();
    let refused = apply(
        &CONFIGMAPS,
        &live,
        &config(json!({"a": "2"})),
        &by("me", false),
    );
    assert_eq!(
        refused.err().map(|e| e.message).as_deref(),
        Some("Apply failed with 1 conflict: conflict with \"other\": .data.a")
    );
    let forced = apply(
        &CONFIGMAPS,
        &live,
        &config(json!({"a": "2"})),
        &by("me", true),
    );
    let forced = forced.unwrap_or_default();
    assert_eq!(text(&forced, "/data/a"), "2");
    let owners: Vec<String> = read(&forced).into_iter().map(|e| e.manager).collect();
    assert_eq!(owners.first().map(String::as_str), Some("me"));
}

#[test]
fn fields_that_are_no_longer_applied_go_unless_somebody_else_owns_them() {
    let mine = apply(
        &CONFIGMAPS,
        &Value::Null,
        &config(json!({"a": "1", "b": "1"})),
        &by("me", false),
    );
    let shared = apply(
        &CONFIGMAPS,
        &mine.unwrap_or_default(),
        &config(json!({"b": "1"})),
        &by("other", false),
    );
    let left = apply(
        &CONFIGMAPS,
        &shared.unwrap_or_default(),
        &config(json!({})),
        &by("me", false),
    );
    assert_eq!(
        left.unwrap_or_default().get("data"),
        Some(&json!({"b": "1"}))
    );
}

#[test]
fn containers_are_merged_by_name_and_ports_by_number_and_protocol() {
    let deployment = |containers: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let first = apply(
        &DEPLOYMENTS,
        &Value::Null,
        &deployment(json!([{"name": "a", "image": "x", "ports": [{"containerPort": 80}]}])),
        &by("one", false),
    );
    let second = apply(
        &DEPLOYMENTS,
        &first.unwrap_or_default(),
        &deployment(json!([{"name": "b", "image": "y"}])),
        &by("two", false),
    );
    let second = second.unwrap_or_default();
    let names: Vec<&str> = crate::json::items(&second, "/spec/template/spec/containers")
        .iter()
        .map(|c| text(c, "/name"))
        .collect();
    assert_eq!(names, ["a", "b"]);
    let fields = read(&second)
        .pop()
        .map(|e| e.fields.paths())
        .unwrap_or_default();
    assert!(
        fields.contains(
            &".spec.template.spec.containers[name=\"a\"].ports[containerPort=80,protocol=\"TCP\"]"
                .to_owned()
        ),
        "{fields:?}"
    );
    let third = apply(
        &DEPLOYMENTS,
        &second,
        &deployment(json!([])),
        &by("one", false),
    );
    assert_eq!(
        third
            .unwrap_or_default()
            .pointer("/spec/template/spec/containers"),
        Some(&json!([{"name": "b", "image": "y"}]))
    );
}

#[test]
fn an_unknown_field_is_refused_in_the_recorded_words() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "namespace": "rec"}, "spec": {"containerz": []}});
    let refused = check(&crate::resources::PODS, &pod);
    assert_eq!(
        refused.err().map(|e| e.message).as_deref(),
        Some(
            "failed to create typed patch object (rec/a; /v1, Kind=Pod): .spec.containerz: field \
             not declared in schema"
        )
    );
}
