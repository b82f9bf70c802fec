//! Endpoints of services with a selector: which pods stand behind a service, and at which ports.
//!
//! Two kinds of object say so: endpoint slices, which everything reads today, and `Endpoints`,
//! which older tools still read. Both are written here from the same members.

mod legacy;
mod slices;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Loop;
use crate::node::json::{is_deleting, is_true, items, name, namespace, strings, text, uid};
use crate::node::ports::{is_ready, is_selected};
use crate::node::probe::resolve_port;
use berth_objects::resources::{ENDPOINTS, ENDPOINTSLICES, Kind, PODS, SERVICES};
use berth_objects::store::Store;

/// When what the object shows has last changed.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Marks what belongs to a service without an address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The controller of both kinds.
pub(super) struct Endpoints {
    store: Store,
}

/// A pod behind a service.
struct Member {
    pod: Value,
    ip: String,
    /// Gets connections: the pod's `Ready` condition is true and nobody has asked for its end.
    ready: bool,
    /// Would answer, also while it is ending.
    serving: bool,
    terminating: bool,
    /// The service's ports as this pod has them; a named port that it lacks is left out.
    ports: Vec<Value>,
}

impl Endpoints {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.as_manager("kube-controller-manager"),
        }
    }
}

impl Loop for Endpoints {
    const KINDS: &'static [Kind] = &[&SERVICES, &PODS, &ENDPOINTSLICES, &ENDPOINTS];

    fn look(&mut self) -> Option<Instant> {
        let services: Vec<Value> = self.store.list(&SERVICES, None);
        let selecting: Vec<&Value> = services.iter().filter(|service| selects(service)).collect();
        for service in &selecting {
            let members = members(&self.store, service);
            slices::write(&self.store, service, &members);
            legacy::write(&self.store, service, &members);
        }
        slices::sweep(&self.store, &selecting);
        legacy::sweep(&self.store, &selecting);
        None
    }
}

/// Without a selector, a service's endpoints are its author's business.
fn selects(service: &Value) -> bool {
    !is_deleting(service)
        && text(service, "/spec/type") != "ExternalName"
        && strings(service, "/spec/selector").next().is_some()
}

fn members(store: &Store, service: &Value) -> Vec<Member> {
    let publish = is_true(service, "/spec/publishNotReadyAddresses");
    let mut members: Vec<Member> = store
        .list(&PODS, Some(namespace(service)))
        .into_iter()
        .filter(|pod| is_selected(service, pod))
        .filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
        .filter(|pod| !text(pod, "/status/podIP").is_empty())
        .map(|pod| {
            let (serving, terminating) = (is_ready(&pod), is_deleting(&pod));
            Member {
                ip: text(&pod, "/status/podIP").to_owned(),
                ready: publish || (serving && !terminating),
                serving,
                terminating,
                ports: ports(service, &pod),
                pod,
            }
        })
        .collect();
    members.sort_by(|one, other| one.ip.cmp(&other.ip));
    members
}

/// The service's ports, resolved for one pod, in the fields of an endpoint port.
fn ports(service: &Value, pod: &Value) -> Vec<Value> {
    items(service, "/spec/ports")
        .iter()
        .filter_map(|port| {
            let wanted = port.get("targetPort").or_else(|| port.get("port"))?;
            let number = items(pod, "/spec/containers")
                .iter()
                .find_map(|container| resolve_port(container, wanted))?;
            let mut shown = Map::new();
            if let Some(protocol) = port.get("appProtocol") {
                shown.insert("appProtocol".to_owned(), protocol.clone());
            }
            shown.insert("name".to_owned(), text(port, "/name").into());
            shown.insert("port".to_owned(), number.into());
            let protocol = Some(text(port, "/protocol")).filter(|protocol| !protocol.is_empty());
            shown.insert("protocol".to_owned(), protocol.unwrap_or("TCP").into());
            Some(Value::Object(shown))
        })
        .collect()
}

fn reference(pod: &Value) -> Value {
    json!({ "kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod) })
}

/// The service's own labels; what belongs to a service without an address is marked as such.
fn labels(service: &Value) -> Map<String, Value> {
    let mut labels: Map<String, Value> = strings(service, "/metadata/labels")
        .filter(|(key, _)| *key != HEADLESS)
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    if text(service, "/spec/clusterIP") == "None" {
        labels.insert(HEADLESS.to_owned(), "".into());
    }
    labels
}
