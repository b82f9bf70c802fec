//! `/version`, `/api`, `/apis` and the lists of resources, made from the table of kinds.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use berth_objects::resources::{ALL, Kind};

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Group, then its resources that are asked with `create` alone.
const REVIEWS: &[(&str, &str, &str, bool)] = &[
    (
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        true,
    ),
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "subjectaccessreviews",
        "SubjectAccessReview",
        false,
    ),
];

/// Group names in the order of the recorded `/apis`.
pub(super) const GROUPS: &[&str] = &[
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "batch",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "discovery.k8s.io",
];

/// The document at a path, if discovery has one there.
pub(super) fn document(path: &str, address: SocketAddr) -> Option<Value> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match segments.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string()}
            ],
        })),
        ["api", "v1"] => Some(resource_list("")),
        ["apis"] => {
            let groups: Vec<Value> = GROUPS.iter().map(|group| api_group(group)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] if GROUPS.contains(group) => {
            let mut map = Map::new();
            map.insert("kind".to_owned(), "APIGroup".into());
            map.insert("apiVersion".to_owned(), "v1".into());
            if let Value::Object(group) = api_group(group) {
                map.extend(group);
            }
            Some(Value::Object(map))
        }
        ["apis", group, "v1"] if GROUPS.contains(group) => Some(resource_list(group)),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.2",
        "gitCommit": "$Format:%H$",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.26.6",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn api_group(group: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn resource_list(group: &str) -> Value {
    let mut resources: Vec<Value> = Vec::new();
    for kind in ALL.iter().filter(|kind| kind.group == group) {
        resources.push(resource(kind));
        resources.extend(subresources(kind));
    }
    for (_, plural, kind, namespaced) in REVIEWS.iter().filter(|(of, ..)| *of == group) {
        resources.push(json!({
            "name": plural,
            "singularName": kind.to_lowercase(),
            "namespaced": namespaced,
            "kind": kind,
            "verbs": ["create"],
        }));
    }
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let mut list = json!({"kind": "APIResourceList"});
    if let Value::Object(map) = &mut list {
        if !group.is_empty() {
            map.insert("apiVersion".to_owned(), "v1".into());
        }
        map.insert("groupVersion".to_owned(), version.into());
        map.insert("resources".to_owned(), resources.into());
    }
    list
}

fn resource(kind: Kind) -> Value {
    let mut shown = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": VERBS,
    });
    if let Value::Object(map) = &mut shown {
        if !kind.short_names.is_empty() {
            map.insert("shortNames".to_owned(), kind.short_names.into());
        }
        if kind.in_all {
            map.insert("categories".to_owned(), json!(["all"]));
        }
    }
    shown
}

fn subresources(kind: Kind) -> Vec<Value> {
    let sub = |name: &str, kind_name: &str, verbs: &[&str]| {
        json!({
            "name": format!("{}/{name}", kind.plural),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind_name,
            "verbs": verbs,
        })
    };
    let foreign = |name: &str, group: &str, kind_name: &str, verbs: &[&str]| {
        let mut shown = sub(name, kind_name, verbs);
        if let Value::Object(map) = &mut shown {
            map.insert("group".to_owned(), group.into());
            map.insert("version".to_owned(), "v1".into());
        }
        shown
    };
    let mut found = Vec::new();
    if kind.plural == "pods" {
        found.push(sub("exec", "PodExecOptions", &["create", "get"]));
        found.push(sub("log", "Pod", &["get"]));
    }
    if kind.plural == "namespaces" {
        found.push(sub("finalize", "Namespace", &["update"]));
    }
    if kind.plural == "serviceaccounts" {
        found.push(foreign(
            "token",
            "authentication.k8s.io",
            "TokenRequest",
            &["create"],
        ));
    }
    if kind.scale {
        found.push(foreign(
            "scale",
            "autoscaling",
            "Scale",
            &["get", "patch", "update"],
        ));
    }
    if kind.status {
        found.push(sub("status", kind.kind, &["get", "patch", "update"]));
    }
    found
}
