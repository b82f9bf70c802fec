//! Pods, deployments, replica sets and jobs, new and changed.

use serde_json::{Value, json};

use super::problems::Problems;
use super::{meta, pod};
use berth_objects::json::{as_map, child, each, integer, object, present, text};
use berth_objects::selector::Labels;

pub(super) fn new_pod(object: &Value, problems: &mut Problems) {
    pod::spec(object.get("spec").unwrap_or(&Value::Null), "spec", problems);
}

/// Of a running pod, hardly anything may change.
pub(super) fn changed_pod(old: &Value, new: &Value, problems: &mut Problems) {
    let movable = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        let map = as_map(&mut spec);
        for list in ["containers", "initContainers"] {
            for container in each(map, list) {
                as_map(container).shift_remove("image");
            }
        }
        map.shift_remove("activeDeadlineSeconds");
        map.shift_remove("tolerations");
        spec
    };
    if movable(old) != movable(new) {
        problems.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
             additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to \
             be set to 1 if it was previously negative)\n",
        );
    }
}

pub(super) fn deployment(object: &Value, problems: &mut Problems) {
    problems.not_negative("spec.replicas", integer(object, "/spec/replicas"));
    selector(object, "deployment", problems);
    let strategy = text(object, "/spec/strategy/type");
    problems.one_of(
        "spec.strategy.type",
        strategy,
        &["Recreate", "RollingUpdate"],
    );
    if strategy == "Recreate" && object.pointer("/spec/strategy/rollingUpdate").is_some() {
        problems.forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        );
    }
    let zero = |key: &str| {
        let value = object.pointer(&format!("/spec/strategy/rollingUpdate/{key}"));
        matches!(value, Some(v) if v.as_i64() == Some(0) || v.as_str() == Some("0%"))
    };
    if zero("maxUnavailable") && zero("maxSurge") {
        let value = object.pointer("/spec/strategy/rollingUpdate/maxUnavailable");
        problems.invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            value.unwrap_or(&Value::Null),
            "may not be 0 when `maxSurge` is 0",
        );
    }
    for key in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        problems.not_negative(
            format!("spec.{key}"),
            integer(object, &format!("/spec/{key}")),
        );
    }
    let ready = integer(object, "/spec/minReadySeconds").unwrap_or(0);
    if let Some(deadline) = integer(object, "/spec/progressDeadlineSeconds")
        && deadline <= ready
    {
        problems.invalid(
            "spec.progressDeadlineSeconds",
            &deadline.into(),
            "must be greater than minReadySeconds",
        );
    }
    template(object, problems);
    always(object, problems);
}

pub(super) fn replica_set(object: &Value, problems: &mut Problems) {
    problems.not_negative("spec.replicas", integer(object, "/spec/replicas"));
    selector(object, "replica set", problems);
    template(object, problems);
    always(object, problems);
}

/// The selector must be there, not empty, and match the template.
fn selector(object: &Value, what: &str, problems: &mut Problems) {
    let Some(selector) = object.pointer("/spec/selector") else {
        problems.required("spec.selector", "");
        if what == "deployment" {
            // Nothing selected matches nothing: the real server says so too.
            mismatch(object, problems);
        }
        return;
    };
    meta::selector(selector, "spec.selector", problems);
    if !present(selector, "/matchLabels") && !present(selector, "/matchExpressions") {
        problems.invalid(
            "spec.selector",
            selector,
            &format!("empty selector is invalid for {what}"),
        );
    }
    if !Labels::of(selector).match_map(self::object(object, "/spec/template/metadata/labels")) {
        mismatch(object, problems);
    }
}

fn mismatch(object: &Value, problems: &mut Problems) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    problems.invalid(
        "spec.template.metadata.labels",
        &labels.unwrap_or(Value::Null),
        "`selector` does not match template `labels`",
    );
}

fn template(object: &Value, problems: &mut Problems) {
    let labels = "/spec/template/metadata/labels";
    meta::labels(object, labels, "spec.template.labels", problems);
    let spec = object
        .pointer("/spec/template/spec")
        .unwrap_or(&Value::Null);
    pod::spec(spec, "spec.template.spec", problems);
}

fn always(object: &Value, problems: &mut Problems) {
    let policy = text(object, "/spec/template/spec/restartPolicy");
    problems.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    if object
        .pointer("/spec/template/spec/activeDeadlineSeconds")
        .is_some()
    {
        problems.forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
}

pub(super) fn job(object: &Value, problems: &mut Problems) {
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        problems.not_negative(
            format!("spec.{key}"),
            integer(object, &format!("/spec/{key}")),
        );
    }
    // Jobs are named after in labels, which are shorter than names.
    let name = text(object, "/metadata/name");
    if name.len() > 63 {
        problems.invalid(
            "metadata.name",
            &name.into(),
            "must be no more than 63 characters",
        );
    }
    template(object, problems);
    let field = "spec.template.spec.restartPolicy";
    match text(object, "/spec/template/spec/restartPolicy") {
        "Always" => problems.required(field, "valid values: \"OnFailure\", \"Never\""),
        policy => problems.one_of(field, policy, &["OnFailure", "Never"]),
    }
}

/// Deployments and replica sets keep their selector.
pub(super) fn same_selector(old: &Value, new: &Value, problems: &mut Problems) {
    let of = |object: &Value| {
        object
            .pointer("/spec/selector")
            .cloned()
            .unwrap_or_default()
    };
    problems.immutable("spec.selector", &of(old), &of(new));
}

/// Jobs keep their template and selector, and how often they complete.
pub(super) fn changed_job(old: &Value, new: &Value, problems: &mut Problems) {
    for key in [
        "completions",
        "selector",
        "template",
        "completionMode",
        "podFailurePolicy",
    ] {
        let of = |object: &Value| object.pointer(&format!("/spec/{key}")).cloned();
        let (old, mut new) = (of(old).unwrap_or_default(), of(new).unwrap_or_default());
        if old != new {
            if key == "template" {
                // The message shows the internal form, which has no empty labels.
                child(&mut new, "metadata")
                    .entry("creationTimestamp")
                    .or_insert(json!(null));
            }
            problems.invalid(format!("spec.{key}"), &new, "field is immutable");
        }
    }
}
