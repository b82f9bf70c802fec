//! Config maps and secrets.

use serde_json::Value;

use super::names;
use super::problems::Problems;
use berth_objects::json::{self, text};

/// What a `ConfigMap` or Secret may weigh.
const DATA: usize = 1024 * 1024;

pub(super) fn config_map(object: &Value, problems: &mut Problems) {
    let mut size = 0;
    let binary = json::object(object, "/binaryData");
    for (name, value) in json::object(object, "/data").into_iter().flatten() {
        let field = format!("data[{name}]");
        names::check(problems, &field, name, names::config_key);
        if binary.is_some_and(|binary| binary.contains_key(name)) {
            let why = "duplicate of key present in binaryData";
            problems.invalid(field, &name.as_str().into(), why);
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (name, value) in binary.into_iter().flatten() {
        names::check(
            problems,
            &format!("binaryData[{name}]"),
            name,
            names::config_key,
        );
        size += decoded(value);
    }
    if size > DATA {
        // The real server's path is empty here, and printed so.
        problems.too_long("[]", DATA);
    }
}

/// How many bytes a text in base64 stands for.
fn decoded(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let padding = text.len() - text.trim_end_matches('=').len();
    (text.len() / 4 * 3).saturating_sub(padding)
}

pub(super) fn secret(object: &Value, problems: &mut Problems) {
    let mut size = 0;
    for (name, value) in json::object(object, "/data").into_iter().flatten() {
        names::check(problems, &format!("data[{name}]"), name, names::config_key);
        size += decoded(value);
    }
    if size > DATA {
        problems.too_long("data", DATA);
    }
    let wanted: &[&str] = match text(object, "/type") {
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in wanted {
        if object
            .pointer("/data")
            .and_then(|data| data.get(key))
            .is_none()
        {
            problems.required(format!("data[{key}]"), "");
        }
    }
}

/// What is marked immutable stays as it is, and marked.
pub(super) fn frozen(old: &Value, new: &Value, problems: &mut Problems) {
    if old.get("immutable") == Some(&true.into()) {
        let why = "field is immutable when `immutable` is set";
        for key in ["immutable", "data", "binaryData"] {
            if old.get(key) != new.get(key) {
                problems.forbidden(key, why);
            }
        }
    }
    if old.get("type").is_some() && old.get("type") != new.get("type") {
        problems.invalid(
            "type",
            new.get("type").unwrap_or(&Value::Null),
            "field is immutable",
        );
    }
}
