//! What the state of a pod's containers says. Reasons are the kubelet's
//! (`k8s.io/kubernetes/pkg/kubelet/{container,images}`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_core::{Cause, Diagnosis, other_architecture};
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodStatus,
};

use super::{Urgency, image_pull};

/// The kubelet tries again by itself, and often gets through.
const RETRYING: Duration = Duration::from_secs(10);

/// What stands in the way of the first container that does not run and should.
pub(super) fn failure(status: &PodStatus) -> Option<(Diagnosis, Urgency)> {
    status
        .container_statuses
        .iter()
        .flatten()
        .find_map(container_failure)
}

/// The same for init containers, of which an end with exit code 0 is no failure.
pub(super) fn init_failure(status: &PodStatus) -> Option<(Diagnosis, Urgency)> {
    let mut containers = status.init_container_statuses.iter().flatten();
    containers.find_map(|container| {
        let is_done = container
            .state
            .as_ref()
            .and_then(|state| state.terminated.as_ref())
            .is_some_and(|terminated| terminated.exit_code == 0);
        if is_done {
            return None;
        }
        let (mut diagnosis, urgency) = container_failure(container)?;
        if matches!(
            diagnosis.cause,
            Cause::CrashLoop | Cause::Exited | Cause::BadCommand
        ) {
            diagnosis.cause = Cause::InitFailed;
        }
        Some((diagnosis, urgency))
    })
}

/// How often the container was started again.
pub(super) fn restarts(container: &ContainerStatus) -> u32 {
    u32::try_from(container.restart_count).unwrap_or_default()
}

fn container_failure(container: &ContainerStatus) -> Option<(Diagnosis, Urgency)> {
    let state = container.state.as_ref()?;
    let (cause, message, urgency) = match (&state.waiting, &state.terminated) {
        (Some(waiting), _) => waiting_failure(waiting, last_end(container))?,
        (None, Some(end)) => (
            end_cause(end, container.restart_count > 0),
            end_message(end),
            Urgency::AtOnce,
        ),
        (None, None) => return None,
    };
    let end = state.terminated.as_ref().or(last_end(container));
    let (cause, message) = match foreign_program(cause, &message) {
        Some(explained) => (Cause::Architecture, explained),
        None => (cause, message),
    };
    Some((
        Diagnosis {
            exit_code: end.map(|end| end.exit_code),
            restarts: restarts(container),
            ..Diagnosis::new(cause, message)
        },
        urgency,
    ))
}

/// Explains that the container's own program is for another architecture: then nothing has run after the
/// kernel's words. A program may have printed the same words earlier, of another one that it tried to run.
fn foreign_program(cause: Cause, message: &str) -> Option<String> {
    if !matches!(cause, Cause::CrashLoop | Cause::Exited | Cause::BadCommand) {
        return None;
    }
    let last = message.lines().rfind(|line| !line.trim().is_empty());
    other_architecture(last.into_iter())
}

/// How the container of this name ended, when it does not run, was started more than `restarts` times, or
/// ended at `since` or later: none of the processes that were in it then is left.
#[must_use]
pub fn container_end(
    pod: &Pod,
    name: &str,
    since: SystemTime,
    restarts: Option<i32>,
) -> Option<Diagnosis> {
    let container = container_status(pod, name)?;
    let state = container.state.as_ref();
    let end = state.and_then(|it| it.terminated.as_ref());
    let end = end.or(last_end(container))?;
    let at = end.finished_at.as_ref();
    let at = at.and_then(|it| u64::try_from(it.0.as_second()).ok());
    // The kubelet writes whole seconds.
    let since = since
        .duration_since(UNIX_EPOCH)
        .map_or(0, |it| it.as_secs());
    let is_new = state.is_some_and(|it| it.running.is_none())
        || restarts.is_some_and(|before| container.restart_count > before)
        || at.is_some_and(|at| at >= since);
    is_new.then(|| Diagnosis {
        exit_code: Some(end.exit_code),
        restarts: self::restarts(container),
        ..Diagnosis::new(
            end_cause(end, false),
            end.reason.clone().unwrap_or_default(),
        )
    })
}

/// What is known of the pod's container of this name.
#[must_use]
pub fn container_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    containers.find(|it| it.name == name)
}

fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.last_state.as_ref()?.terminated.as_ref()
}

fn waiting_failure(
    waiting: &ContainerStateWaiting,
    last_end: Option<&ContainerStateTerminated>,
) -> Option<(Cause, String, Urgency)> {
    let message = waiting.message.clone().unwrap_or_default();
    let (cause, urgency) = match waiting.reason.as_deref()? {
        "InvalidImageName" => (Cause::InvalidImageName, Urgency::AtOnce),
        "ErrImageNeverPull" => (Cause::ImageNeverPull, Urgency::AtOnce),
        // A pull that has failed is tried again at ever longer intervals; one chance was given.
        "ImagePullBackOff" | "SignatureValidationFailed" => (Cause::ImagePull, Urgency::AtOnce),
        "ErrImagePull" if image_pull::is_definite(&message) => (Cause::ImagePull, Urgency::AtOnce),
        "ErrImagePull" | "RegistryUnavailable" | "ImageInspectError" => {
            (Cause::ImagePull, Urgency::AtDeadline)
        }
        "CreateContainerConfigError" => config_error(&message),
        "CrashLoopBackOff" => return Some(crash_loop(message, last_end)),
        "RunContainerError" | "CreateContainerError" if is_command_fault(&message) => {
            (Cause::BadCommand, Urgency::AtOnce)
        }
        "RunContainerError" | "CreateContainerError" | "PostStartHookError" => {
            (Cause::Refused, Urgency::After(RETRYING))
        }
        // ContainerCreating, PodInitializing, and what later versions may add.
        _ => return None,
    };
    Some((cause, message, urgency))
}

fn crash_loop(
    message: String,
    last_end: Option<&ContainerStateTerminated>,
) -> (Cause, String, Urgency) {
    match last_end {
        Some(end) => {
            let own = end.message.clone().unwrap_or_default();
            let message = if own.trim().is_empty() { message } else { own };
            (end_cause(end, true), message, Urgency::AtOnce)
        }
        None => (Cause::CrashLoop, message, Urgency::AtOnce),
    }
}

/// A Secret, `ConfigMap` or key that is missing, or something else in the way of the container's
/// configuration, such as a user that the image must not run as.
fn config_error(message: &str) -> (Cause, Urgency) {
    if message.contains("runAsNonRoot") || message.contains("runAsUser") {
        (Cause::Refused, Urgency::AtOnce)
    } else if message.contains("cache") {
        // `failed to sync secret cache: timed out waiting for the condition`
        (Cause::MissingConfig, Urgency::After(RETRYING))
    } else {
        (Cause::MissingConfig, Urgency::AtOnce)
    }
}

fn is_command_fault(message: &str) -> bool {
    [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "no command specified",
        "exec format error",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn end_cause(end: &ContainerStateTerminated, restarted: bool) -> Cause {
    match end.reason.as_deref() {
        Some("OOMKilled") => Cause::OutOfMemory,
        Some("StartError" | "ContainerCannotRun") => Cause::BadCommand,
        Some("ContainerStatusUnknown") => Cause::NodeLost,
        _ if restarted => Cause::CrashLoop,
        _ => Cause::Exited,
    }
}

/// The container's own last words (its termination message or last log lines), else the reason when
/// it says more than the exit code does.
fn end_message(end: &ContainerStateTerminated) -> String {
    end.message
        .clone()
        .filter(|message| !message.trim().is_empty())
        .or_else(|| end.reason.clone())
        .filter(|words| !matches!(words.as_str(), "Error" | "Completed"))
        .unwrap_or_default()
}
