//! Every pod runs as a service account of its namespace, which must exist.

use serde_json::{Value, json};

use berth_objects::ids::suffix;
use berth_objects::json::{as_map, child, each, items, present, text};
use berth_objects::resources::{PODS, SERVICEACCOUNTS};
use berth_objects::status_error::ApiError;
use berth_objects::store::State;

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn admit(state: &State, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = text(pod, "/metadata/namespace").to_owned();
    let spec = child(pod, "spec");
    if !spec.contains_key("serviceAccountName") {
        spec.insert("serviceAccountName".to_owned(), "default".into());
    }
    let name = spec
        .get("serviceAccountName")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    spec.insert("serviceAccount".to_owned(), name.as_str().into());
    let Some(account) = state.get(&SERVICEACCOUNTS, &namespace, &name) else {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        );
        return Err(ApiError::forbidden(
            &PODS,
            text(pod, "/metadata/name"),
            &why,
        ));
    };
    if !present(pod, "/spec/imagePullSecrets") && present(&account, "/imagePullSecrets") {
        let secrets = account.get("imagePullSecrets").cloned().unwrap_or_default();
        child(pod, "spec").insert("imagePullSecrets".to_owned(), secrets);
    }
    let wanted = pod
        .pointer("/spec/automountServiceAccountToken")
        .or_else(|| account.get("automountServiceAccountToken"));
    if wanted != Some(&Value::Bool(false)) {
        mount(pod);
    }
    Ok(())
}

/// Adds the volume with the account's token, and mounts it where nothing else is.
fn mount(pod: &mut Value) {
    let volume = format!("kube-api-access-{}", suffix());
    let spec = child(pod, "spec");
    let mut mounted = false;
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            if items(container, "/volumeMounts")
                .iter()
                .any(|m| text(m, "/mountPath") == MOUNT)
            {
                continue;
            }
            let mounts = as_map(container)
                .entry("volumeMounts")
                .or_insert_with(|| json!([]));
            if let Some(mounts) = mounts.as_array_mut() {
                mounts.push(json!({"mountPath": MOUNT, "name": volume, "readOnly": true}));
                mounted = true;
            }
        }
    }
    if !mounted {
        return;
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(
            json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}],
                    "name": "kube-root-ca.crt"}},
                {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1",
                    "fieldPath": "metadata.namespace"}, "path": "namespace"}]}},
            ]}}),
        );
    }
}
