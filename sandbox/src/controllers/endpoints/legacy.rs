//! `Endpoints`: the older form, one object a service, under the service's name.

use serde_json::{Map, Value, json};

use super::{Member, TRIGGER, labels, reference};
use crate::node::events::NODE;
use crate::node::json::{items, name, namespace, now, text};
use berth_objects::json::{as_map, child};
use berth_objects::resources::ENDPOINTS;
use berth_objects::store::Store;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

/// Writes the object of a service.
pub(super) fn write(store: &Store, service: &Value, members: &[Member]) {
    let subsets = subsets(members);
    let mut labels = labels(service);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.into());
    let Some(known) = store.get(&ENDPOINTS, namespace(service), name(service)) else {
        let mut object = json!({
            "metadata": {
                "annotations": { TRIGGER: now() },
                "labels": labels,
                "name": name(service),
                "namespace": namespace(service),
            },
        });
        if !subsets.is_empty() {
            as_map(&mut object).insert("subsets".to_owned(), subsets.into());
        }
        if let Err(error) = store.create(&ENDPOINTS, object) {
            tracing::debug!(%error, service = name(service), "endpoints were not created");
        }
        return;
    };
    let same = known.pointer("/metadata/labels").and_then(Value::as_object) == Some(&labels)
        && items(&known, "/subsets") == subsets;
    if same {
        return;
    }
    let _ = store.update(&ENDPOINTS, namespace(&known), name(&known), |object| {
        if subsets.is_empty() {
            as_map(object).shift_remove("subsets");
        } else {
            as_map(object).insert("subsets".to_owned(), subsets.into());
        }
        let metadata = child(object, "metadata");
        metadata.insert("labels".to_owned(), labels.into());
        metadata.insert("annotations".to_owned(), json!({ TRIGGER: now() }));
    });
}

/// Removes what belonged to services that are gone or have no selector any more.
pub(super) fn sweep(store: &Store, services: &[&Value]) {
    for object in store.list(&ENDPOINTS, None) {
        let ours = object
            .pointer("/metadata/labels")
            .is_some_and(|labels| labels.get(MANAGED_BY) == Some(&MANAGER.into()));
        let wanted = services.iter().any(|service| {
            (namespace(service), name(service)) == (namespace(&object), name(&object))
        });
        if ours && !wanted {
            let _ = store.delete(&ENDPOINTS, namespace(&object), name(&object));
        }
    }
}

/// One subset for each set of ports. A pod that is ending is in none.
fn subsets(members: &[Member]) -> Vec<Value> {
    let mut groups: Vec<(&[Value], Vec<Value>, Vec<Value>)> = Vec::new();
    for member in members.iter().filter(|member| !member.terminating) {
        let at = groups
            .iter()
            .position(|(ports, ..)| *ports == member.ports)
            .unwrap_or_else(|| {
                groups.push((&member.ports, Vec::new(), Vec::new()));
                groups.len() - 1
            });
        let Some((_, ready, not_ready)) = groups.get_mut(at) else {
            continue;
        };
        let list = if member.ready { ready } else { not_ready };
        list.push(json!({
            "ip": member.ip,
            "nodeName": NODE,
            "targetRef": reference(&member.pod),
        }));
    }
    groups
        .into_iter()
        .map(|(ports, ready, not_ready)| {
            let mut subset = Map::new();
            let ports: Vec<Value> = ports.iter().map(port).collect();
            for (key, list) in [
                ("addresses", ready),
                ("notReadyAddresses", not_ready),
                ("ports", ports),
            ] {
                if !list.is_empty() {
                    subset.insert(key.to_owned(), list.into());
                }
            }
            Value::Object(subset)
        })
        .collect()
}

/// Here, a port without a name has no name at all.
fn port(port: &Value) -> Value {
    let mut port = port.clone();
    if text(&port, "/name").is_empty() {
        as_map(&mut port).shift_remove("name");
    }
    port
}
