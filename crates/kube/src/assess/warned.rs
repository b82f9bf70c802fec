//! What the cluster warns of and a pod's status does not say: volumes, the pod's sandbox, and what a probe was
//! answered.

use std::time::Duration;

use berth_core::{Cause, ClusterWarning, Diagnosis};

use super::Urgency;

/// How long a node may fail at what it tries again, and often succeeds at.
const RETRYING: Duration = Duration::from_mins(1);
/// The same for what does not succeed before a user does something.
const LASTING: Duration = Duration::from_secs(10);
/// What trying again does not help, in the words of runc and crun: the limit leaves no room for the runtime's
/// own process.
const TOO_LITTLE_MEMORY: [&str; 2] = ["memory limit too low", "set memory limit"];

/// What a warning says of its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A volume can't be attached or mounted.
    Volume {
        /// Whether what it is made from does not exist.
        is_missing: bool,
    },
    /// The node can't set up the pod's sandbox.
    Sandbox {
        /// Whether trying again does not help.
        is_final: bool,
    },
    /// A probe has failed.
    Probe {
        /// Whether it was answered with a status code of 4xx.
        is_refused: bool,
    },
}

impl Trouble {
    /// What the warning means for its pod, if it is about one.
    #[must_use]
    pub fn of(warning: &ClusterWarning) -> Option<Self> {
        let says = |words: &str| warning.message.contains(words);
        if !warning.object.is_pod() {
            return None;
        }
        match warning.reason.as_str() {
            // k8s.io/kubernetes/pkg/kubelet/events/event.go, and that of the attach/detach controller:
            // k8s.io/kubernetes/pkg/controller/volume/events/event.go
            "FailedMount" | "FailedAttachVolume" => Some(Self::Volume {
                // A driver is registered some time after its node.
                is_missing: says("not found") && !says("registered CSI drivers"),
            }),
            "FailedCreatePodSandBox" => Some(Self::Sandbox {
                is_final: TOO_LITTLE_MEMORY.iter().any(|words| says(words)),
            }),
            // The words are those of k8s.io/kubernetes/pkg/probe/http/http.go.
            "Unhealthy" => Some(Self::Probe {
                is_refused: says("HTTP probe failed with statuscode: 4"),
            }),
            _ => None,
        }
    }

    /// What it means for a pod of which no container could be started yet, and when that is the end of the
    /// matter.
    #[must_use]
    pub fn in_setup(self) -> Option<(Cause, Urgency)> {
        let (cause, is_lasting) = match self {
            Self::Volume { is_missing } => (Cause::VolumeMount, is_missing),
            Self::Sandbox { is_final } => (Cause::Sandbox, is_final),
            Self::Probe { .. } => return None,
        };
        let patience = if is_lasting { LASTING } else { RETRYING };
        Some((cause, Urgency::After(patience)))
    }
}

/// What a namespace's warnings say of a pod that its node has not set up after a while: its sandbox failed more
/// than once, or can't succeed, or what a volume is made from is still missing.
#[must_use]
pub fn setup_failure(pod: &str, warnings: &[ClusterWarning]) -> Option<Diagnosis> {
    let mut own = warnings.iter().rev().filter(|it| it.object.name == pod);
    let (last, trouble) = own.find_map(|it| Some((it, Trouble::of(it)?)))?;
    let is_repeated = last.count > 1;
    let is_over = match trouble {
        Trouble::Sandbox { is_final } => is_repeated || is_final,
        Trouble::Volume { is_missing } => is_repeated && is_missing,
        Trouble::Probe { .. } => false,
    };
    let (cause, _) = trouble.in_setup().filter(|_| is_over)?;
    Some(Diagnosis::new(cause, last.said()))
}

#[cfg(test)]
mod tests {
    use berth_core::WarnedObject;

    use super::*;

    fn warning(reason: &str, pod: &str, message: &str, count: u32) -> ClusterWarning {
        let mut warning = ClusterWarning::new(reason, WarnedObject::pod(pod), message);
        warning.count = count;
        warning
    }

    #[test]
    fn a_sandbox_that_fails_again_or_for_good_is_a_diagnosis() {
        let failed = |rest: &str, count: u32| {
            let message = format!("Failed to create pod sandbox: {rest}");
            let warnings = [
                warning("FailedCreatePodSandBox", "web-1", &message, count),
                warning("FailedScheduling", "web-1", "no room", 9),
                warning("FailedCreatePodSandBox", "web-2", "another's", 9),
            ];
            setup_failure("web-1", &warnings)
        };
        assert_eq!(failed("no network", 1), None);
        // What the runtime says is no count.
        assert_eq!(failed("tried (2 times)", 1), None);
        let repeated = failed("no network", 2).unwrap();
        assert_eq!(repeated.cause, Cause::Sandbox);
        assert_eq!(
            repeated.message,
            "Failed to create pod sandbox: no network (2 times)"
        );
        assert!(failed("container init was OOM-killed (memory limit too low?)", 1).is_some());
        assert_eq!(setup_failure("web-1", &[]), None);
    }

    #[test]
    fn a_volume_is_given_up_only_when_its_source_stays_away() {
        let failed = |message: &str, count: u32| {
            setup_failure("web-1", &[warning("FailedMount", "web-1", message, count)])
        };
        let missing = "MountVolume.SetUp failed for volume \"v\" : secret \"x\" not found";
        assert_eq!(failed(missing, 1), None);
        assert_eq!(failed(missing, 5).unwrap().cause, Cause::VolumeMount);
        assert_eq!(failed("AttachVolume.Attach failed", 5), None);
    }

    #[test]
    fn a_warning_means_what_its_reason_says() {
        let of = |reason: &str, message: &str| Trouble::of(&warning(reason, "web-1", message, 1));
        let missing = "MountVolume.SetUp failed for volume \"v\" : secret \"x\" not found";
        let volume = |is_missing| Some(Trouble::Volume { is_missing });
        assert_eq!(of("FailedMount", missing), volume(true));
        let attached = "Multi-Attach error for volume \"data\"";
        assert_eq!(of("FailedAttachVolume", attached), volume(false));
        let probe = |code: u16| {
            let message =
                format!("Readiness probe failed: HTTP probe failed with statuscode: {code}");
            of("Unhealthy", &message)
        };
        assert_eq!(probe(404), Some(Trouble::Probe { is_refused: true }));
        assert_eq!(probe(503), Some(Trouble::Probe { is_refused: false }));
        // What a program prints is not a reason.
        assert_eq!(of("BackOff", "FailedMount (pod web-1): Unhealthy"), None);
        let mut job = warning("FailedMount", "web-1", missing, 1);
        job.object.kind = "Job".to_owned();
        assert_eq!(Trouble::of(&job), None);
    }
}
