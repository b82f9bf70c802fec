//! Whether somebody may: roles, cluster roles and their bindings.

use serde_json::Value;

use super::RequestInfo;
use super::auth::User;
use berth_objects::json::{items, text};
use berth_objects::resources::{CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES};
use berth_objects::status_error::ApiError;
use berth_objects::store::Store;

/// Paths open to everybody.
const PUBLIC: &[&str] = &["/healthz", "/livez", "/readyz", "/version"];

/// Refuses what the user may not do.
pub(super) fn authorize(store: &Store, user: &User, info: &RequestInfo) -> Result<(), ApiError> {
    if allowed(store, user, info) {
        return Ok(());
    }
    if info.resource.is_empty() {
        let text = format!(
            "forbidden: User {:?} cannot {} path {:?}",
            user.name, info.verb, info.path
        );
        return Err(ApiError {
            details: serde_json::json!({}),
            ..ApiError::new(403, "Forbidden", text)
        });
    }
    let resource = if info.subresource.is_empty() {
        info.resource.clone()
    } else {
        format!("{}/{}", info.resource, info.subresource)
    };
    let place = if info.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", info.namespace)
    };
    let group = &info.group;
    let qualified = if group.is_empty() {
        info.resource.clone()
    } else {
        format!("{}.{group}", info.resource)
    };
    let subject = if info.name.is_empty() {
        qualified
    } else {
        format!("{qualified} {:?}", info.name)
    };
    let text = format!(
        "{subject} is forbidden: User {:?} cannot {} resource {resource:?} in API group {group:?} \
         {place}",
        user.name, info.verb
    );
    let mut details = serde_json::Map::new();
    for (key, value) in [
        ("name", &info.name),
        ("group", group),
        ("kind", &info.resource),
    ] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.as_str().into());
        }
    }
    Err(ApiError {
        details: details.into(),
        ..ApiError::new(403, "Forbidden", text)
    })
}

/// Whether a user may do something.
pub(super) fn allowed(store: &Store, user: &User, info: &RequestInfo) -> bool {
    if user.groups.iter().any(|group| group == "system:masters") {
        return true;
    }
    let authenticated = user
        .groups
        .iter()
        .any(|group| group == "system:authenticated");
    if info.resource.is_empty() {
        let discovery = ["/api", "/apis", "/openapi"]
            .iter()
            .any(|root| info.path == *root || info.path.starts_with(&format!("{root}/")));
        return PUBLIC.contains(&info.path.as_str()) || (authenticated && discovery);
    }
    if authenticated && info.verb == "create" && info.resource.starts_with("selfsubject") {
        return true;
    }
    rules(store, user, &info.namespace)
        .iter()
        .any(|rule| permits(rule, info))
}

/// Every rule that holds for a user in a namespace (empty: across the cluster).
pub(super) fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for binding in store.list(&CLUSTERROLEBINDINGS, None) {
        if binds(&binding, user, "") {
            found.extend(role_rules(store, &binding, ""));
        }
    }
    if !namespace.is_empty() {
        for binding in store.list(&ROLEBINDINGS, Some(namespace)) {
            if binds(&binding, user, namespace) {
                found.extend(role_rules(store, &binding, namespace));
            }
        }
    }
    found
}

fn role_rules(store: &Store, binding: &Value, namespace: &str) -> Vec<Value> {
    let name = text(binding, "/roleRef/name");
    let role = match text(binding, "/roleRef/kind") {
        "Role" => store.get(&ROLES, namespace, name),
        _ => store.get(&CLUSTERROLES, "", name),
    };
    role.map(|role| items(&role, "/rules").to_vec())
        .unwrap_or_default()
}

fn binds(binding: &Value, user: &User, namespace: &str) -> bool {
    items(binding, "/subjects").iter().any(|subject| {
        let name = text(subject, "/name");
        match text(subject, "/kind") {
            "User" => user.name == name,
            "Group" => user.groups.iter().any(|group| group == name),
            _ => {
                let own = text(subject, "/namespace");
                let namespace = if own.is_empty() { namespace } else { own };
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
        }
    })
}

fn permits(rule: &Value, info: &RequestInfo) -> bool {
    let has = |key: &str, wanted: &str| {
        items(rule, key)
            .iter()
            .any(|value| matches!(value.as_str(), Some(v) if v == "*" || v == wanted))
    };
    let resource = if info.subresource.is_empty() {
        has("/resources", &info.resource)
    } else {
        has(
            "/resources",
            &format!("{}/{}", info.resource, info.subresource),
        ) || has("/resources", &format!("*/{}", info.subresource))
    };
    let names = items(rule, "/resourceNames");
    let covers = names.is_empty()
        || (!info.name.is_empty() && names.iter().any(|n| n.as_str() == Some(&info.name)));
    resource && covers && has("/verbs", info.verb) && has("/apiGroups", &info.group)
}
