//! What the real server's admission plugins do: namespaces, service accounts, limit ranges, pod
//! security, quota. Order and wording are theirs.

mod limits;
mod pod_security;
pub(super) mod quota;
mod service_account;

use serde_json::{Value, json};

use super::services;
use berth_objects::json::{child, default, text};
use berth_objects::resources::{INGRESSES, Kind, PODS};
use berth_objects::status_error::ApiError;
use berth_objects::store::State;
use berth_objects::write::Admission;

/// How an ingress named its class before it had a field for it.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

/// Whether the node can have a port.
type NodePortProbe = Box<dyn Fn(u16) -> bool + Send + Sync>;

/// All of it, with validation and the addresses of services.
pub(super) struct Plugins {
    /// Asked before a service is given a node port that it did not ask for by number: all sandboxes of
    /// a machine share its ports.
    pub(super) node_port_probe: NodePortProbe,
}

impl Admission for Plugins {
    fn create(
        &self,
        state: &State,
        kind: Kind,
        object: &mut Value,
    ) -> Result<Vec<String>, ApiError> {
        mutate(state, kind, object)?;
        super::validate::create(kind, object)?;
        services::allocate(state, &self.node_port_probe, kind, None, object)?;
        validate(state, kind, None, object)
    }

    fn update(
        &self,
        state: &State,
        kind: Kind,
        current: &Value,
        next: &mut Value,
    ) -> Result<Vec<String>, ApiError> {
        services::keep(kind, current, next);
        super::validate::update(kind, current, next)?;
        services::allocate(state, &self.node_port_probe, kind, Some(current), next)?;
        validate(state, kind, Some(current), next)
    }
}

/// What admission writes into a new object.
fn mutate(state: &State, kind: Kind, object: &mut Value) -> Result<(), ApiError> {
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
fn validate(
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
