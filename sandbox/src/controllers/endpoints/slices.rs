//! Endpoint slices: one for each set of port numbers that the pods of a service have.
//!
//! A slice holds up to 100 endpoints in a real cluster; no sandbox has as many pods behind one
//! service.

use serde_json::{Map, Value, json};

use super::super::owned::reference as owner;
use super::{Member, TRIGGER, labels, reference};
use crate::node::events::NODE;
use crate::node::json::{items, name, namespace, now, strings, uid};
use berth_objects::json::{as_map, child};
use berth_objects::resources::ENDPOINTSLICES;
use berth_objects::store::Store;

/// Names the service whose endpoints a slice holds.
const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Writes the slices of a service.
pub(super) fn write(store: &Store, service: &Value, members: &[Member]) {
    let mut wanted: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for member in members {
        let endpoint = endpoint(service, member);
        match wanted.iter_mut().find(|(ports, _)| *ports == member.ports) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => wanted.push((member.ports.clone(), vec![endpoint])),
        }
    }
    if wanted.is_empty() {
        // A service without pods has one slice with nothing in it.
        wanted.push((Vec::new(), Vec::new()));
    }
    let mut known: Vec<Value> = store
        .list(&ENDPOINTSLICES, Some(namespace(service)))
        .into_iter()
        .filter(|slice| is_of(slice, service))
        .collect();
    for (ports, endpoints) in wanted {
        let same = known
            .iter()
            .position(|slice| items(slice, "/ports") == ports);
        match same.map(|index| known.swap_remove(index)) {
            Some(slice) => update(store, service, &slice, &endpoints),
            None => create(store, service, &ports, &endpoints),
        }
    }
    for slice in known {
        let _ = store.delete(&ENDPOINTSLICES, namespace(&slice), name(&slice));
    }
}

/// Removes the slices of services that have no selector any more. Those of services that are gone
/// go with their owner.
pub(super) fn sweep(store: &Store, services: &[&Value]) {
    for slice in store.list(&ENDPOINTSLICES, None) {
        let ours = label(&slice, MANAGED_BY) == MANAGER;
        if ours && !services.iter().any(|service| is_of(&slice, service)) {
            let _ = store.delete(&ENDPOINTSLICES, namespace(&slice), name(&slice));
        }
    }
}

fn label<'a>(slice: &'a Value, key: &str) -> &'a str {
    strings(slice, "/metadata/labels")
        .find(|(known, _)| *known == key)
        .map_or("", |(_, value)| value)
}

fn is_of(slice: &Value, service: &Value) -> bool {
    namespace(slice) == namespace(service)
        && label(slice, SERVICE) == name(service)
        && label(slice, MANAGED_BY) == MANAGER
        && items(slice, "/metadata/ownerReferences")
            .iter()
            .any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid(service)))
}

fn endpoint(service: &Value, member: &Member) -> Value {
    let mut endpoint = json!({
        "addresses": [member.ip],
        "conditions": {
            "ready": member.ready,
            "serving": member.serving,
            "terminating": member.terminating,
        },
    });
    let spec = member.pod.get("spec").unwrap_or(&Value::Null);
    if let Some(hostname) = spec.get("hostname")
        && spec.get("subdomain").and_then(Value::as_str) == Some(name(service))
    {
        as_map(&mut endpoint).insert("hostname".to_owned(), hostname.clone());
    }
    as_map(&mut endpoint).insert("nodeName".to_owned(), NODE.into());
    as_map(&mut endpoint).insert("targetRef".to_owned(), reference(&member.pod));
    endpoint
}

fn slice_labels(service: &Value) -> Map<String, Value> {
    let mut labels = labels(service);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.into());
    labels.insert(SERVICE.to_owned(), name(service).into());
    labels
}

fn create(store: &Store, service: &Value, ports: &[Value], endpoints: &[Value]) {
    let created = store.create(
        &ENDPOINTSLICES,
        json!({
            "metadata": {
                "annotations": { TRIGGER: now() },
                "generateName": format!("{}-", name(service)),
                "labels": slice_labels(service),
                "namespace": namespace(service),
                "ownerReferences": [owner(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        }),
    );
    if let Err(error) = created {
        // A namespace that is ending takes no new slices.
        tracing::debug!(%error, service = name(service), "an endpoint slice was not created");
    }
}

fn update(store: &Store, service: &Value, slice: &Value, endpoints: &[Value]) {
    let labels = slice_labels(service);
    let known = slice.pointer("/metadata/labels").and_then(Value::as_object);
    if items(slice, "/endpoints") == endpoints && known == Some(&labels) {
        return;
    }
    let _ = store.update(&ENDPOINTSLICES, namespace(slice), name(slice), |slice| {
        as_map(slice).insert("endpoints".to_owned(), endpoints.into());
        let metadata = child(slice, "metadata");
        metadata.insert("labels".to_owned(), labels.into());
        metadata.insert("annotations".to_owned(), json!({ TRIGGER: now() }));
    });
}
