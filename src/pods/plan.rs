//! What is to be done about an owner's pod, decided from what is there and what is wanted. Pure.

use chrono::{DateTime, Utc};

use crate::{
    cluster::{
        Observed,
        assess::{Assessment, assess},
    },
    domain::{ANNOTATION_SPEC, OwnerLabels, PodSpec},
};

/// The annotation that makes a Deployment replace its pod, as `kubectl rollout restart` sets it.
const ANNOTATION_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// It is ready, and as it is wanted.
    Keep {
        /// The pod's name.
        pod: String,
        /// Its node.
        node: Option<String>,
    },
    /// It is as it is wanted, and on its way.
    Wait,
    /// The manifests are to be applied.
    Apply {
        /// Why.
        why: Why,
        /// When the pod was, or is to be, replaced without a change.
        restarted_at: Option<DateTime<Utc>>,
    },
}

/// Why manifests are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There is nothing yet.
    Absent,
    /// Something else is wanted than there is.
    Different,
    /// It is stopped, or can't run.
    NotRunning,
}

/// Whether the namespace that was seen is this owner's; no namespace is nobody's.
pub(super) fn is_ours_or_absent(observed: &Observed, owner: &OwnerLabels) -> bool {
    observed
        .namespace
        .as_ref()
        .is_none_or(|namespace| owner.mark(Some(&namespace.labels)))
}

/// What the Deployment that is there was rendered from, when berth can tell.
pub(super) fn current_spec(observed: &Observed) -> Option<PodSpec> {
    let annotations = observed
        .deployment
        .as_ref()?
        .metadata
        .annotations
        .as_ref()?;
    serde_json::from_str(annotations.get(ANNOTATION_SPEC)?).ok()
}

/// What is to be done so that the pod is there, runs, and is as `desired`.
pub(super) fn plan(observed: &Observed, desired: &PodSpec, now: DateTime<Utc>) -> Plan {
    let restarted_at = restarted_at(observed);
    let state = assess(observed.deployment.as_ref(), &observed.pods);
    if state == Assessment::Absent {
        return Plan::Apply {
            why: Why::Absent,
            restarted_at: None,
        };
    }
    let service_missing = observed.service.is_none() && !desired.ports.is_empty();
    if current_spec(observed).as_ref() != Some(desired) || service_missing {
        return Plan::Apply {
            why: Why::Different,
            restarted_at,
        };
    }
    match state {
        Assessment::Ready { pod, node } => Plan::Keep { pod, node },
        Assessment::Progress(_) => Plan::Wait,
        Assessment::Stopped => Plan::Apply {
            why: Why::NotRunning,
            restarted_at,
        },
        Assessment::Failing { .. } | Assessment::Absent => Plan::Apply {
            why: Why::NotRunning,
            restarted_at: Some(now),
        },
    }
}

/// The time that the Deployment carries; leaving it out of what is applied would replace the pod.
fn restarted_at(observed: &Observed) -> Option<DateTime<Utc>> {
    let template = &observed.deployment.as_ref()?.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    let time = annotations.get(ANNOTATION_RESTARTED_AT)?;
    Some(DateTime::parse_from_rfc3339(time).ok()?.to_utc())
}
