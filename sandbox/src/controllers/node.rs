//! The node object: what the one machine says of itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::node::events::NODE;
use crate::node::image::architecture;
use crate::node::json::now;
use berth_objects::json::as_map;
use berth_objects::resources::NODES;
use berth_objects::store::Store;

/// How often the node says that it lives.
const BEAT: Duration = Duration::from_mins(1);

/// Makes the node object.
pub(super) fn register(store: &Store) {
    let room = json!({
        "cpu": "8",
        "ephemeral-storage": "100Gi",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": "32Gi",
        "pods": "110",
    });
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "beta.kubernetes.io/arch": architecture(),
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture(),
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": { "podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"] },
    });
    let status = json!({
        "addresses": [
            { "address": "127.0.0.1", "type": "InternalIP" },
            { "address": NODE, "type": "Hostname" },
        ],
        "allocatable": room,
        "capacity": room,
        "conditions": conditions(),
        "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
        "nodeInfo": {
            "architecture": architecture(),
            "bootID": "00000000-0000-4000-8000-000000000000",
            "containerRuntimeVersion": "containerd://2.1.0",
            "kernelVersion": "6.12.0",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.36.2",
            "machineID": "berth-sandbox",
            "operatingSystem": "linux",
            "osImage": "berth sandbox (local processes)",
            "systemUUID": "berth-sandbox",
        },
    });
    let store = store.as_manager("kubelet");
    let registered = store.create(&NODES, node).and_then(|_| {
        store.update(&NODES, "", NODE, |node| {
            as_map(node).insert("status".to_owned(), status);
        })
    });
    if let Err(error) = registered {
        tracing::error!(%error, "the node was not registered");
    }
}

/// Renews the heartbeats for ever.
pub(super) async fn beat(store: Store) {
    let store = store.as_manager("kubelet");
    loop {
        tokio::time::sleep(BEAT).await;
        let _ = store.update(&NODES, "", NODE, |node| {
            let listed = node
                .pointer_mut("/status/conditions")
                .and_then(Value::as_array_mut);
            for condition in listed.into_iter().flatten() {
                if let Some(fields) = condition.as_object_mut() {
                    fields.insert("lastHeartbeatTime".to_owned(), now().into());
                }
            }
        });
    }
}

fn conditions() -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
            "message": message,
            "reason": reason,
            "status": status,
            "type": kind,
        })
    };
    json!([
        condition(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        condition(
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure"
        ),
        condition(
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available"
        ),
        condition(
            "Ready",
            "True",
            "KubeletReady",
            "kubelet is posting ready status"
        ),
    ])
}
