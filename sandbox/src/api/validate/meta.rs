//! `metadata` of every kind, and label selectors.

use serde_json::Value;

use super::names;
use super::problems::Problems;
use berth_objects::json::{items, object, text};
use berth_objects::resources::{Kind, NAMESPACES, SERVICES};

/// What the annotations of an object may weigh.
const ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(kind: Kind, object: &Value, problems: &mut Problems) {
    let name = text(object, "/metadata/name");
    let generate = text(object, "/metadata/generateName");
    if name.is_empty() {
        problems.required("metadata.name", "name or generateName is required");
    } else {
        let rule = if *kind == NAMESPACES {
            names::label
        } else if *kind == SERVICES {
            names::label_1035
        } else if kind.group == "rbac.authorization.k8s.io" {
            path_segment
        } else {
            names::subdomain
        };
        names::check(problems, "metadata.name", name, rule);
    }
    // A prefix may end in what a name may not.
    let prefix = generate.trim_end_matches(['-', '.']);
    if !prefix.is_empty() {
        names::check(problems, "metadata.generateName", prefix, names::subdomain);
    }
    labels(object, "/metadata/labels", "metadata.labels", problems);
    annotations(object, problems);
    for (index, finalizer) in items(object, "/metadata/finalizers").iter().enumerate() {
        let finalizer = finalizer.as_str().unwrap_or_default();
        let field = format!("metadata.finalizers[{index}]");
        names::check(problems, &field, finalizer, names::qualified);
    }
    for (index, owner) in items(object, "/metadata/ownerReferences")
        .iter()
        .enumerate()
    {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &format!("/{key}")).is_empty() {
                let field = format!("metadata.ownerReferences[{index}].{key}");
                problems.invalid(field, &"".into(), &format!("{key} must not be empty"));
            }
        }
    }
}

/// Role names may hold colons and more; they only must fit into a path.
fn path_segment(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        _ if name.contains('/') => vec!["may not contain '/'".to_owned()],
        _ if name.contains('%') => vec!["may not contain '%'".to_owned()],
        _ => Vec::new(),
    }
}

/// Keys and values of a map of labels.
pub(super) fn labels(value: &Value, pointer: &str, field: &str, problems: &mut Problems) {
    for (key, label) in object(value, pointer).into_iter().flatten() {
        names::check(problems, field, key, names::qualified);
        names::check(
            problems,
            field,
            label.as_str().unwrap_or_default(),
            names::label_value,
        );
    }
}

fn annotations(value: &Value, problems: &mut Problems) {
    let mut size = 0;
    for (key, text) in object(value, "/metadata/annotations").into_iter().flatten() {
        names::check(
            problems,
            "metadata.annotations",
            &key.to_lowercase(),
            names::qualified,
        );
        size += key.len() + text.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        problems.too_long("metadata.annotations", ANNOTATIONS);
    }
}

/// A `LabelSelector`.
pub(super) fn selector(selector: &Value, field: &str, problems: &mut Problems) {
    labels(
        selector,
        "/matchLabels",
        &format!("{field}.matchLabels"),
        problems,
    );
    for (index, expression) in items(selector, "/matchExpressions").iter().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = items(expression, "/values");
        match text(expression, "/operator") {
            "In" | "NotIn" if values.is_empty() => problems.required(
                format!("{field}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => problems.forbidden(
                format!("{field}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => problems.invalid(
                format!("{field}.operator"),
                &other.into(),
                "not a valid selector operator",
            ),
        }
        let key = text(expression, "/key");
        names::check(problems, &format!("{field}.key"), key, names::qualified);
    }
}
