//! What the real server's admission plugins do: namespaces, service accounts, limit ranges, pod
//! security, quota. Order and wording are theirs.

mod limits;
mod pod_security;
pub(super) mod quota;
mod service_account;

use serde_json::{Value, json};

use super::json::{as_map, child, default, text};
use super::resources::{INGRESSES, Kind, NAMESPACES, PODS};
use super::status_error::ApiError;
use super::store::State;

/// How an ingress named its class before it had a field for it.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

/// The namespace of a new object must be there, and stay.
pub(super) fn namespace(state: &State, kind: Kind, object: &Value) -> Result<(), ApiError> {
    if !kind.namespaced {
        return Ok(());
    }
    let name = text(object, "/metadata/namespace");
    let Some(namespace) = state.get(&NAMESPACES, "", name) else {
        return Err(ApiError::not_found(&NAMESPACES, name));
    };
    if text(&namespace, "/metadata/deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why =
        format!("unable to create new content in namespace {name} because it is being terminated");
    let mut error = ApiError::forbidden(kind, text(object, "/metadata/name"), &why);
    let cause = json!([{"reason": "NamespaceTerminating",
        "message": format!("namespace {name} is being terminated"), "field": "metadata.namespace"}]);
    as_map(&mut error.details).insert("causes".to_owned(), cause);
    Err(error)
}

/// What admission writes into a new object.
pub(super) fn mutate(state: &State, kind: Kind, object: &mut Value) -> Result<(), ApiError> {
    if *kind != PODS {
        return Ok(());
    }
    limits::apply(state, object)?;
    service_account::admit(state, object)?;
    let spec = child(object, "spec");
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    default(spec, "priority", 0);
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if let Some(list) = tolerations.as_array_mut() {
        for key in [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ] {
            if list
                .iter()
                .any(|toleration| text(toleration, "/key") == key)
            {
                continue;
            }
            list.push(
                json!({"effect": "NoExecute", "key": key, "operator": "Exists",
                "tolerationSeconds": 300}),
            );
        }
    }
    Ok(())
}

/// What admission refuses; answers with warnings. `current` is the object before an update.
pub(super) fn validate(
    state: &State,
    kind: Kind,
    current: Option<&Value>,
    object: &Value,
) -> Result<Vec<String>, ApiError> {
    let mut warnings = pod_security::check(state, kind, current, object)?;
    quota::check(state, kind, current, object)?;
    let annotations = object.pointer("/metadata/annotations");
    let old_class = annotations.and_then(|all| all.get(OLD_CLASS));
    if *kind == INGRESSES && current.is_none() && old_class.is_some() {
        warnings.push(format!(
            "annotation {OLD_CLASS:?} is deprecated, please use 'spec.ingressClassName' instead"
        ));
    }
    Ok(warnings)
}
