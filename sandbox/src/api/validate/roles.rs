//! Roles and their bindings.

use serde_json::Value;

use super::problems::Problems;
use berth_objects::json::{items, present, text};

pub(super) fn rules(object: &Value, namespaced: bool, problems: &mut Problems) {
    for (index, rule) in items(object, "/rules").iter().enumerate() {
        let field = format!("rules[{index}]");
        if !present(rule, "/verbs") {
            let detail = "verbs must contain at least one value";
            problems.required(format!("{field}.verbs"), detail);
        }
        if present(rule, "/nonResourceURLs") {
            if namespaced {
                problems.invalid(
                    format!("{field}.nonResourceURLs"),
                    rule.get("nonResourceURLs").unwrap_or(&Value::Null),
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            continue;
        }
        if !present(rule, "/apiGroups") {
            let detail = "resource rules must supply at least one api group";
            problems.required(format!("{field}.apiGroups"), detail);
        }
        if !present(rule, "/resources") {
            let detail = "resource rules must supply at least one resource";
            problems.required(format!("{field}.resources"), detail);
        }
    }
}

pub(super) fn binding(object: &Value, namespaced: bool, problems: &mut Problems) {
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    problems.one_of("roleRef.kind", text(object, "/roleRef/kind"), kinds);
    if text(object, "/roleRef/name").is_empty() {
        problems.required("roleRef.name", "");
    }
    for (index, subject) in items(object, "/subjects").iter().enumerate() {
        let field = format!("subjects[{index}]");
        if text(subject, "/name").is_empty() {
            problems.required(format!("{field}.name"), "");
        }
        let kind = text(subject, "/kind");
        problems.one_of(
            format!("{field}.kind"),
            kind,
            &["ServiceAccount", "User", "Group"],
        );
        if kind == "ServiceAccount" && text(subject, "/namespace").is_empty() && !namespaced {
            problems.required(format!("{field}.namespace"), "");
        }
    }
}

pub(super) fn changed_binding(old: &Value, new: &Value, problems: &mut Problems) {
    if old.get("roleRef") != new.get("roleRef") {
        let value = new.get("roleRef").unwrap_or(&Value::Null);
        problems.invalid("roleRef", value, "cannot change roleRef");
    }
}
