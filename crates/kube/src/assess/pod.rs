//! How far one pod has come.

use std::time::Duration;

use berth_core::{Cause, Diagnosis};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};

use super::{Assessment, Doing, Urgency, container, scheduling};

/// The time in which a controller replaces a pod that its node has given up.
const REPLACING: Duration = Duration::from_secs(10);

/// How far this pod has come, by itself. A pod that is being deleted is assessed like any other.
#[must_use]
pub fn assess_pod(pod: &Pod) -> Assessment {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let Some(status) = pod.status.as_ref() else {
        return Assessment::Progress(Doing::AwaitingNode);
    };
    if is_true(status, "Ready") {
        return Assessment::Ready {
            pod: name,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        };
    }
    let found = lost(status)
        .or_else(|| scheduling::failure(status))
        .or_else(|| container::init_failure(status))
        .or_else(|| container::failure(status))
        .or_else(|| not_ready(status));
    match found {
        Some((diagnosis, urgency)) => Assessment::Failing {
            diagnosis,
            pod: Some(name),
            urgency,
        },
        None => Assessment::Progress(progress(pod, status)),
    }
}

/// The node, or its kubelet, has given the pod up (`status.reason`).
fn lost(status: &PodStatus) -> Option<(Diagnosis, Urgency)> {
    let reason = status.reason.as_deref().unwrap_or_default();
    let cause = match reason {
        "Evicted" | "Preempting" | "Preempted" => Cause::Evicted,
        "NodeLost" | "NodeShutdown" | "Terminated" | "Shutdown" => Cause::NodeLost,
        // The kubelet counts what is free on its node more sharply than the scheduler.
        "NodeAffinity" | "UnexpectedAdmissionError" => Cause::Unschedulable,
        _ if reason.starts_with("OutOf") => Cause::Unschedulable,
        _ if status.phase.as_deref() == Some("Unknown") => Cause::NodeLost,
        _ => return None,
    };
    let message = status.message.clone().unwrap_or_else(|| reason.to_owned());
    Some((Diagnosis::new(cause, message), Urgency::After(REPLACING)))
}

/// All containers run, and yet the pod is not ready: a readiness probe or gate stands against it.
fn not_ready(status: &PodStatus) -> Option<(Diagnosis, Urgency)> {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let all_run = !containers.is_empty() && containers.iter().all(is_running);
    let ready = condition(status, "Ready")?;
    all_run.then(|| {
        let mut diagnosis =
            Diagnosis::new(Cause::NotReady, ready.message.clone().unwrap_or_default());
        diagnosis.restarts = containers.iter().map(container::restarts).sum();
        (diagnosis, Urgency::AtDeadline)
    })
}

fn is_running(container: &ContainerStatus) -> bool {
    container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

/// What is being done for a pod with which nothing is wrong.
fn progress(pod: &Pod, status: &PodStatus) -> Doing {
    let spec = pod.spec.as_ref();
    let Some(node) = spec.and_then(|spec| spec.node_name.clone()) else {
        return Doing::AwaitingNode;
    };
    // Since Kubernetes 1.29; an older cluster does not tell the two apart.
    if condition(status, "PodReadyToStartContainers").is_some_and(|c| c.status != "True") {
        return Doing::SettingUp { node };
    }
    let init_runs = !is_true(status, "Initialized")
        && status
            .init_container_statuses
            .iter()
            .flatten()
            .any(is_running);
    if init_runs {
        return Doing::RunningInits;
    }
    let waiting = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| {
            container
                .state
                .as_ref()
                .is_some_and(|state| state.waiting.is_some())
        });
    match waiting {
        Some(container) => Doing::Pulling {
            image: container.image.clone(),
        },
        None => Doing::Starting { node },
    }
}

fn is_true(status: &PodStatus, name: &str) -> bool {
    condition(status, name).is_some_and(|condition| condition.status == "True")
}

pub(super) fn condition<'a>(status: &'a PodStatus, name: &str) -> Option<&'a PodCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == name)
}
