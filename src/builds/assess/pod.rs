//! What the state of a build's pod says.

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::{Standing, git, log};
use crate::{
    builds::plan::{FETCH, RECEIVE},
    cluster::assess::{Assessment, Urgency, assess_pod, misses_label},
    domain::{BuildCause, BuildFailure, Cause, Diagnosis, Digest, other_architecture},
    manifest::build::BUILD_CONTAINER,
};

/// An autoscaler makes a node in less.
const MAKING_A_NODE: Duration = Duration::from_mins(2);
/// Cluster Autoscaler looks every 10 s for pods to make a node for, and says so then.
const SCALING: Duration = Duration::from_secs(15);
/// The label of nodes with their architecture.
const ARCHITECTURE: &str = "kubernetes.io/arch";
/// Killed, by the kernel or by somebody.
const KILLED: i32 = 137;

/// The digest that the build left: with it, and an exit code of 0, the build has succeeded.
pub(super) fn digest(pod: &Pod) -> Option<Digest> {
    let end = end(build(pod)?)?;
    let message = end.message.as_deref().unwrap_or_default();
    (end.exit_code == 0).then(|| message.trim().parse().ok())?
}

/// The commit that was fetched, when it has been.
pub(in crate::builds) fn commit(pod: &Pod) -> Option<String> {
    let fetch = inits(pod).find(|container| container.name == FETCH)?;
    let said = end(fetch)
        .filter(|end| end.exit_code == 0)?
        .message
        .as_ref()?;
    said.trim().strip_prefix("commit ").map(str::to_owned)
}

/// Whether the streamed context has arrived whole.
pub(in crate::builds) fn has_received(pod: &Pod) -> bool {
    inits(pod)
        .filter(|container| container.name == RECEIVE)
        .any(|container| end(container).is_some_and(|end| end.exit_code == 0))
}

/// Whether nothing runs in the pod any more, nor will.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
        || build(pod).and_then(end).is_some()
        || inits(pod).any(|it| end(it).is_some_and(|end| end.exit_code != 0))
}

/// When the pod ended, if it has.
pub(in crate::builds) fn ended_at(pod: &Pod) -> Option<DateTime<Utc>> {
    let ends = inits(pod).chain(build(pod)).filter_map(end);
    let times = ends.filter_map(|end| Some(end.finished_at.as_ref()?.0.as_second()));
    let last = times.max().filter(|_| has_ended(pod))?;
    DateTime::from_timestamp(last, 0)
}

/// What became of a pod whose node gave it up.
pub(super) fn lost(pod: &Pod) -> Option<BuildFailure> {
    let status = pod.status.as_ref()?;
    let reason = status.reason.as_deref()?;
    let cause = match reason {
        "DeadlineExceeded" => BuildCause::Deadline,
        "Evicted" | "Preempting" | "Preempted" | "NodeLost" | "NodeShutdown" | "Terminated"
        | "Shutdown" => BuildCause::Evicted,
        "NodeAffinity" | "UnexpectedAdmissionError" => BuildCause::Unschedulable,
        _ if reason.starts_with("OutOf") => BuildCause::Unschedulable,
        _ => return None,
    };
    let message = status.message.clone().unwrap_or_else(|| reason.to_owned());
    Some(BuildFailure::new(cause, message))
}

/// Why a pod failed that has ended.
pub(super) fn failure(pod: &Pod, log: &[String]) -> BuildFailure {
    let failed_init = inits(pod).find_map(|it| {
        let end = end(it).filter(|end| end.exit_code != 0)?;
        Some((it, end))
    });
    let ended = failed_init.or_else(|| build(pod).and_then(|it| Some((it, end(it)?))));
    let Some((container, end)) = ended else {
        let said = pod.status.as_ref().and_then(|it| it.message.clone());
        let message = said.unwrap_or_else(|| "the pod failed without a message".to_owned());
        return BuildFailure::new(BuildCause::Other, message);
    };
    let failure = ended_failure(&container.name, end, log);
    BuildFailure {
        exit_code: Some(end.exit_code),
        ..failure
    }
}

fn ended_failure(container: &str, end: &ContainerStateTerminated, log: &[String]) -> BuildFailure {
    let own = end.message.as_deref().unwrap_or_default();
    let said = own.lines().chain(log.iter().map(String::as_str));
    if end.reason.as_deref() == Some("OOMKilled") {
        return BuildFailure::new(BuildCause::OutOfMemory, "its container was killed for that");
    }
    if let Some(message) = other_architecture(said) {
        return BuildFailure::new(BuildCause::Architecture, message);
    }
    match end.reason.as_deref() {
        Some("StartError" | "ContainerCannotRun") => {
            let message = format!("the program of the container {container} can't start: {own}");
            return BuildFailure::new(BuildCause::Other, message);
        }
        Some("ContainerStatusUnknown") => {
            return BuildFailure::new(BuildCause::Evicted, own);
        }
        _ => {}
    }
    if end.exit_code == KILLED {
        return BuildFailure::new(
            BuildCause::OutOfMemory,
            "its container was killed, which is what happens when memory runs out",
        );
    }
    // The termination message holds the last lines as well, when the log itself could not be read.
    let mut lines: Vec<&str> = own.lines().collect();
    lines.extend(log.iter().map(String::as_str));
    match container {
        FETCH => git::failure(end.exit_code, &lines),
        RECEIVE => BuildFailure::new(BuildCause::ContextLost, log::last_error(&lines)),
        _ if end.exit_code == 0 => BuildFailure::new(
            BuildCause::Other,
            "the builder ended without an error, but left no digest: nobody can say what was pushed",
        ),
        _ => log::failure(&lines),
    }
}

/// How far a pod has come that has not ended.
pub(super) fn standing(pod: &Pod) -> Standing {
    if let Some(phrase) = going(pod) {
        return Standing::Going(phrase);
    }
    match assess_pod(pod) {
        Assessment::Failing {
            diagnosis, urgency, ..
        } => failing(pod, diagnosis, urgency),
        Assessment::Progress(doing) => Standing::Going(doing.to_string()),
        _ => Standing::Going("building".to_owned()),
    }
}

/// What runs, in the words of a build.
fn going(pod: &Pod) -> Option<String> {
    let is_running = |it: &&ContainerStatus| {
        it.state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    };
    if build(pod).as_ref().is_some_and(is_running) {
        return Some("building".to_owned());
    }
    let phrase = match &*inits(pod).find(is_running)?.name {
        FETCH => "fetching the repository",
        RECEIVE => "waiting for the context",
        _ => return None,
    };
    Some(phrase.to_owned())
}

/// The architecture that no node has, when that is what the scheduler says: the build's pod selects
/// nodes by nothing else.
fn missing_architecture<'a>(pod: &'a Pod, said: &str) -> Option<&'a str> {
    let selector = pod.spec.as_ref()?.node_selector.as_ref()?;
    misses_label(said).then(|| selector.get(ARCHITECTURE).map(String::as_str))?
}

fn failing(pod: &Pod, diagnosis: Diagnosis, urgency: Urgency) -> Standing {
    let Diagnosis {
        cause,
        message,
        exit_code,
        ..
    } = diagnosis;
    let build_cause = match cause {
        Cause::ImagePull | Cause::InvalidImageName | Cause::ImageNeverPull => BuildCause::ImagePull,
        Cause::Architecture => BuildCause::Architecture,
        Cause::OutOfMemory => BuildCause::OutOfMemory,
        Cause::Unschedulable => BuildCause::Unschedulable,
        Cause::Evicted | Cause::NodeLost => BuildCause::Evicted,
        Cause::Quota => BuildCause::Quota,
        Cause::PodSecurity | Cause::Refused => BuildCause::Refused,
        _ => BuildCause::Other,
    };
    if build_cause == BuildCause::Unschedulable
        && let Some(architecture) = missing_architecture(pod, &message)
    {
        let message =
            format!("no node that builds can use has the architecture {architecture}: {message}");
        let failure = BuildFailure::new(BuildCause::Architecture, message);
        return Standing::Stuck(failure, SCALING);
    }
    let patience = match urgency {
        Urgency::AtOnce => Duration::ZERO,
        Urgency::After(_) | Urgency::AtDeadline if build_cause == BuildCause::Unschedulable => {
            MAKING_A_NODE
        }
        Urgency::After(patience) => patience,
        Urgency::AtDeadline => {
            return Standing::Going(format!("{}, so far", build_cause.as_phrase()));
        }
    };
    let mut failure = BuildFailure::new(build_cause, message);
    failure.exit_code = exit_code;
    Standing::Stuck(failure, patience)
}

fn build(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten())
        .find(|it| it.name == BUILD_CONTAINER)
}

fn inits(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status
        .iter()
        .flat_map(|status| status.init_container_statuses.iter().flatten())
}

fn end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}
