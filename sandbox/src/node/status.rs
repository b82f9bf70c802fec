//! `status` of a pod, as a kubelet writes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::image::canonical;
use super::json::{items, now, text};
use super::slot::{Slot, State};
use berth_objects::quantity::Quantity;

/// What goes into a pod's status beside its containers.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Value,
    pub(crate) pod_ip: Option<&'a str>,
    pub(crate) start_time: &'a str,
    /// The pod's namespaces exist.
    pub(crate) has_sandbox: bool,
    /// The pod as a whole was ended: reason and message.
    pub(crate) failure: Option<(&'a str, &'a str)>,
}

/// Conditions change their times only when they change.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    since: BTreeMap<&'static str, (bool, String)>,
}

impl Conditions {
    /// Remembers a condition that somebody else has set.
    pub(crate) fn remember(&mut self, kind: &'static str, status: bool, since: &str) {
        self.since.insert(kind, (status, since.to_owned()));
    }

    fn write(&mut self, kind: &'static str, status: bool, reason: &str, message: &str) -> Value {
        let known = self.since.entry(kind).or_insert_with(|| (status, now()));
        if known.0 != status {
            *known = (status, now());
        }
        let mut condition = Map::new();
        condition.insert("lastProbeTime".to_owned(), Value::Null);
        condition.insert("lastTransitionTime".to_owned(), known.1.clone().into());
        if !message.is_empty() {
            condition.insert("message".to_owned(), message.into());
        }
        condition.insert("observedGeneration".to_owned(), 1.into());
        if !reason.is_empty() {
            condition.insert("reason".to_owned(), reason.into());
        }
        condition.insert(
            "status".to_owned(),
            if status { "True" } else { "False" }.into(),
        );
        condition.insert("type".to_owned(), kind.into());
        Value::Object(condition)
    }
}

/// `phase` of a pod.
pub(crate) fn phase(slots: &[Slot], restart_policy: &str, failed: bool) -> &'static str {
    if failed {
        return "Failed";
    }
    let init_open = slots.iter().any(|slot| {
        slot.init
            && if slot.is_sidecar() {
                !slot.started
            } else {
                slot.exit_code() != Some(0)
            }
    });
    let init_failed = slots.iter().any(|slot| {
        slot.init && !slot.is_sidecar() && slot.exit_code().is_some_and(|code| code != 0)
    });
    if init_open {
        return if init_failed && restart_policy == "Never" {
            "Failed"
        } else {
            "Pending"
        };
    }
    let main = || slots.iter().filter(|slot| !slot.init);
    let never_ran =
        |slot: &Slot| matches!(slot.state, State::Waiting { .. }) && slot.last.is_none();
    if main().any(never_ran) {
        return "Pending";
    }
    let all_ended = main().all(|slot| slot.exit_code().is_some());
    let any_failed = main().any(|slot| slot.exit_code() != Some(0));
    match restart_policy {
        "OnFailure" if all_ended && !any_failed => "Succeeded",
        "Never" if all_ended => {
            if any_failed {
                "Failed"
            } else {
                "Succeeded"
            }
        }
        _ => "Running",
    }
}

/// The whole status.
pub(crate) fn write(facts: &Facts<'_>, slots: &[Slot], conditions: &mut Conditions) -> Value {
    let policy = text(facts.pod, "/spec/restartPolicy");
    let phase = phase(slots, policy, facts.failure.is_some());
    let mut status = Map::new();
    let mut put = |key: &str, value: Value| {
        status.insert(key.to_owned(), value);
    };
    let requests = total(facts.pod, "requests");
    let any_started = slots.iter().any(|slot| slot.id.is_some());
    if !requests.is_empty() && any_started {
        put("allocatedResources", Value::Object(requests.clone()));
    }
    put(
        "conditions",
        write_conditions(facts, slots, phase, conditions),
    );
    let list = |init: bool| -> Value {
        slots
            .iter()
            .filter(|slot| slot.init == init)
            .map(container)
            .collect()
    };
    put("containerStatuses", list(false));
    put("hostIP", "127.0.0.1".into());
    put("hostIPs", json!([{ "ip": "127.0.0.1" }]));
    if slots.iter().any(|slot| slot.init) {
        put("initContainerStatuses", list(true));
    }
    if let Some((_, message)) = facts.failure {
        put("message", message.into());
    }
    put("observedGeneration", 1.into());
    put("phase", phase.into());
    if let Some(ip) = facts.pod_ip {
        put("podIP", ip.into());
        put("podIPs", json!([{ "ip": ip }]));
    }
    put("qosClass", qos_class(facts.pod).into());
    if let Some((reason, _)) = facts.failure {
        put("reason", reason.into());
    }
    put("resources", pod_resources(facts.pod, phase, requests));
    put("startTime", facts.start_time.into());
    Value::Object(status)
}

fn write_conditions(
    facts: &Facts<'_>,
    slots: &[Slot],
    phase: &str,
    conditions: &mut Conditions,
) -> Value {
    let ended = match phase {
        "Succeeded" => "PodCompleted",
        "Failed" => "PodFailed",
        _ => "",
    };
    let sandbox = facts.has_sandbox && ended.is_empty();
    let mut all = vec![conditions.write("PodReadyToStartContainers", sandbox, "", "")];
    let incomplete = names(slots, |slot| {
        slot.init
            && if slot.is_sidecar() {
                !slot.started
            } else {
                slot.exit_code() != Some(0)
            }
    });
    all.push(if incomplete.is_empty() {
        let reason = if phase == "Succeeded" { ended } else { "" };
        conditions.write("Initialized", true, reason, "")
    } else {
        let message = format!("containers with incomplete status: [{incomplete}]");
        conditions.write("Initialized", false, "ContainersNotInitialized", &message)
    });
    let unready = names(slots, |slot| {
        (!slot.init || slot.is_sidecar()) && !slot.ready
    });
    for kind in ["Ready", "ContainersReady"] {
        all.push(if !ended.is_empty() {
            conditions.write(kind, false, ended, "")
        } else if unready.is_empty() && incomplete.is_empty() {
            conditions.write(kind, true, "", "")
        } else {
            let message = format!("containers with unready status: [{unready}]");
            conditions.write(kind, false, "ContainersNotReady", &message)
        });
    }
    all.push(conditions.write("PodScheduled", true, "", ""));
    Value::Array(all)
}

fn names(slots: &[Slot], which: impl Fn(&Slot) -> bool) -> String {
    let names: Vec<&str> = slots
        .iter()
        .filter(|slot| which(slot))
        .map(|slot| slot.name.as_str())
        .collect();
    names.join(" ")
}

fn container(slot: &Slot) -> Value {
    let mut status = Map::new();
    let mut put = |key: &str, value: Value| {
        status.insert(key.to_owned(), value);
    };
    let image = text(&slot.spec, "/image");
    if let Some(id) = &slot.id {
        if let Some(requests) = slot.spec.pointer("/resources/requests") {
            put("allocatedResources", requests.clone());
        }
        put("containerID", id.clone().into());
        put("image", canonical(image).into());
        let image_id = slot.image.as_ref().map_or("", |image| image.id.as_str());
        put("imageID", image_id.into());
    } else {
        put("image", image.into());
        put("imageID", "".into());
    }
    put(
        "lastState",
        match &slot.last {
            Some(last) => json!({ "terminated": last }),
            None => json!({}),
        },
    );
    put("name", slot.name.clone().into());
    put(
        "ready",
        (slot.ready || (slot.init && slot.exit_code() == Some(0))).into(),
    );
    if slot.id.is_some() {
        put(
            "resources",
            slot.spec
                .get("resources")
                .cloned()
                .unwrap_or_else(|| json!({})),
        );
    }
    put("restartCount", slot.restarts.into());
    put("started", slot.started.into());
    put(
        "state",
        match &slot.state {
            State::Running { started_at } => json!({ "running": { "startedAt": started_at } }),
            State::Terminated(how) => json!({ "terminated": how }),
            State::Waiting { reason, message } if message.is_empty() => {
                json!({ "waiting": { "reason": reason } })
            }
            State::Waiting { reason, message } => {
                json!({ "waiting": { "message": message, "reason": reason } })
            }
        },
    );
    let mounts: Vec<Value> = items(&slot.spec, "/volumeMounts")
        .iter()
        .map(mount)
        .collect();
    if !mounts.is_empty() {
        put("volumeMounts", mounts.into());
    }
    Value::Object(status)
}

fn mount(mount: &Value) -> Value {
    let mut status = Map::new();
    for key in ["mountPath", "name"] {
        status.insert(
            key.to_owned(),
            mount.get(key).cloned().unwrap_or(Value::Null),
        );
    }
    if mount
        .get("readOnly")
        .and_then(Value::as_bool)
        .unwrap_or(false)
    {
        status.insert("readOnly".to_owned(), true.into());
        status.insert("recursiveReadOnly".to_owned(), "Disabled".into());
    }
    Value::Object(status)
}

/// The sum over the containers of what they request, or of their limits.
pub(crate) fn total(pod: &Value, list: &str) -> Map<String, Value> {
    let mut sums: BTreeMap<&str, Quantity> = BTreeMap::new();
    for container in items(pod, "/spec/containers") {
        for (resource, amount) in super::json::strings(container, &format!("/resources/{list}")) {
            let amount = Quantity::parse(amount).unwrap_or(Quantity::ZERO);
            let sum = sums.entry(resource).or_insert(Quantity::ZERO);
            *sum = sum.plus(amount);
        }
    }
    sums.into_iter()
        .map(|(key, sum)| (key.to_owned(), sum.to_string().into()))
        .collect()
}

/// What cgroups report of the pod as a whole; an unlimited memory is this odd number there.
fn pod_resources(pod: &Value, phase: &str, requests: Map<String, Value>) -> Value {
    let mut resources = Map::new();
    if phase == "Running" {
        let mut limits = total(pod, "limits");
        if !limits.contains_key("memory") {
            limits.insert("memory".to_owned(), "9007199254740988Ki".into());
        }
        resources.insert("limits".to_owned(), Value::Object(limits));
    }
    if !requests.is_empty() {
        resources.insert("requests".to_owned(), Value::Object(requests));
    }
    Value::Object(resources)
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn qos_class(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = items(pod, "/spec/containers")
        .iter()
        .chain(items(pod, "/spec/initContainers"))
        .collect();
    let amount = |container: &Value, list: &str, resource: &str| {
        Quantity::parse(text(container, &format!("/resources/{list}/{resource}")))
    };
    let wanted = |container: &&&Value| {
        ["cpu", "memory"].iter().any(|resource| {
            amount(container, "limits", resource).is_some()
                || amount(container, "requests", resource).is_some()
        })
    };
    if containers.iter().filter(wanted).count() == 0 {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = amount(container, "limits", resource);
            let request = amount(container, "requests", resource);
            limit.is_some() && request.is_none_or(|request| Some(request) == limit)
        })
    });
    if guaranteed {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
