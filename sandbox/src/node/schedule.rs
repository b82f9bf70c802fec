//! The scheduler: one node, which a pod fits on or not.

use serde_json::{Value, json};

use super::events::{Event, NODE, Recorder};
use super::json::{is_deleting, items, name, namespace, now, strings, text};
use super::status::total;
use berth_objects::quantity::Quantity;
use berth_objects::resources::{NODES, PERSISTENTVOLUMECLAIMS, PODS};
use berth_objects::store::Store;

/// Binds the pod to the node, or says why it can't be; true if it was bound.
pub(crate) fn schedule(store: &Store, events: &Recorder, pod: &Value) -> bool {
    match refusal(store, pod) {
        None => bind(store, events, pod),
        Some((reason, is_full)) => {
            let preemption = if is_full {
                "No preemption victims found for incoming pod"
            } else {
                "Preemption is not helpful for scheduling"
            };
            let message = format!(
                "0/1 nodes are available: {reason}. no new claims to deallocate, preemption: \
                 0/1 nodes are available: 1 {preemption}."
            );
            refuse(store, events, pod, &message);
            false
        }
    }
}

fn bind(store: &Store, events: &Recorder, pod: &Value) -> bool {
    let bound = store.update(&PODS, namespace(pod), name(pod), |pod| {
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("nodeName".to_owned(), NODE.into());
        }
        set_condition(
            pod,
            &json!({
                "lastProbeTime": null,
                "lastTransitionTime": now(),
                "observedGeneration": 1,
                "status": "True",
                "type": "PodScheduled",
            }),
        );
    });
    if bound.is_ok() {
        let message = format!(
            "Successfully assigned {}/{} to {NODE}",
            namespace(pod),
            name(pod)
        );
        events.record(
            pod,
            Event {
                warning: false,
                reason: "Scheduled",
                message: &message,
                field: "",
            },
        );
    }
    bound.is_ok()
}

fn refuse(store: &Store, events: &Recorder, pod: &Value, message: &str) {
    let known = items(pod, "/status/conditions").iter().any(|condition| {
        text(condition, "/type") == "PodScheduled" && text(condition, "/message") == message
    });
    if known {
        return;
    }
    let _ = store.update(&PODS, namespace(pod), name(pod), |pod| {
        set_condition(
            pod,
            &json!({
                "lastProbeTime": null,
                "lastTransitionTime": now(),
                "message": message,
                "observedGeneration": 1,
                "reason": "Unschedulable",
                "status": "False",
                "type": "PodScheduled",
            }),
        );
    });
    events.record(
        pod,
        Event {
            warning: true,
            reason: "FailedScheduling",
            message,
            field: "",
        },
    );
}

fn set_condition(pod: &mut Value, condition: &Value) {
    let qos = super::status::qos_class(pod);
    let status = berth_objects::json::child(pod, "status");
    status.insert("conditions".to_owned(), json!([condition]));
    status.insert("phase".to_owned(), "Pending".into());
    status.insert("qosClass".to_owned(), qos.into());
}

/// Why the pod can't run on the node, in the scheduler's words, and whether it could if the node were
/// empty.
fn refusal(store: &Store, pod: &Value) -> Option<(String, bool)> {
    for volume in items(pod, "/spec/volumes") {
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        if !claim.is_empty()
            && store
                .get(&PERSISTENTVOLUMECLAIMS, namespace(pod), claim)
                .is_none()
        {
            let reason = format!("persistentvolumeclaim \"{claim}\" not found");
            return Some((reason, false));
        }
    }
    let node = store.get(&NODES, "", NODE)?;
    let labels = node
        .pointer("/metadata/labels")
        .cloned()
        .unwrap_or_default();
    let selected = strings(pod, "/spec/nodeSelector")
        .all(|(key, value)| labels.get(key).and_then(Value::as_str) == Some(value));
    if !selected || !affinity_fits(pod, &labels) {
        let reason = "1 node(s) didn't match Pod's node affinity/selector";
        return Some((reason.to_owned(), false));
    }
    let others: Vec<Value> = store
        .list(&PODS, None)
        .into_iter()
        .filter(|other| text(other, "/spec/nodeName") == NODE && !is_over(other))
        .collect();
    let room = |resource: &str| {
        Quantity::parse(text(&node, &format!("/status/allocatable/{resource}")))
            .unwrap_or(Quantity::ZERO)
    };
    if Quantity::whole(i64::try_from(others.len()).unwrap_or(0) + 1) > room("pods") {
        return Some(("1 Too many pods".to_owned(), true));
    }
    let wanted = total(pod, "requests");
    for resource in wanted.keys() {
        let used = others
            .iter()
            .filter_map(|other| quantity(&total(other, "requests"), resource))
            .fold(Quantity::ZERO, Quantity::plus);
        let wanted = quantity(&wanted, resource).unwrap_or(Quantity::ZERO);
        if used.plus(wanted) > room(resource) {
            return Some((
                format!("1 Insufficient {resource}"),
                wanted <= room(resource),
            ));
        }
    }
    None
}

fn quantity(list: &serde_json::Map<String, Value>, resource: &str) -> Option<Quantity> {
    Quantity::parse(list.get(resource)?.as_str()?)
}

fn is_over(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether the required node affinity, if there is one, is met by the node's labels.
fn affinity_fits(pod: &Value, labels: &Value) -> bool {
    const TERMS: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = items(pod, TERMS);
    let node = json!({ "metadata": { "labels": labels } });
    terms.is_empty()
        || terms
            .iter()
            .any(|term| berth_objects::selector::Labels::of(term).matches(&node))
}

/// Whether the scheduler has to look at this pod.
pub(crate) fn is_waiting(pod: &Value) -> bool {
    text(pod, "/spec/nodeName").is_empty() && !is_deleting(pod)
}
