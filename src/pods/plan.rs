//! What is to be done about an owner's pod, decided from what is there and what is wanted. Pure.

use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use super::observed::Observed;
use crate::{
    cluster::{
        Kept,
        assess::{Assessment, Urgency, assess},
        foreign_fields,
    },
    domain::{ANNOTATION_SPEC, PodSpec, Redaction},
    manifest::{Manifest, has_drifted},
};

/// The annotation that makes a Deployment replace its pod, as `kubectl rollout restart` sets it.
const ANNOTATION_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What of a pod's Deployment stays with other managers: `kubectl rollout restart` replaces the pod by
/// an annotation.
pub(super) const KEPT: Kept<'static> = &[&["f:template", "f:metadata"]];

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

/// What the Deployment that is there was rendered from, when berth can tell.
pub(super) fn current_spec(observed: &Observed) -> Option<PodSpec> {
    spec_of(observed.deployment.as_ref()?)
}

/// The values that no message about the pod may hold.
pub(super) fn hidden(observed: &Observed) -> Redaction {
    let spec = current_spec(observed);
    spec.map(|spec| spec.environment.redaction())
        .unwrap_or_default()
}

/// What this Deployment was rendered from, when berth can tell.
pub(super) fn spec_of(deployment: &Deployment) -> Option<PodSpec> {
    let annotations = deployment.metadata.annotations.as_ref()?;
    serde_json::from_str(annotations.get(ANNOTATION_SPEC)?).ok()
}

/// What is to be done so that the pod is there, runs, and is as `desired`, which renders to `wanted`
/// with the time of [`restarted_at`].
pub(super) fn plan(
    observed: &Observed,
    desired: &PodSpec,
    wanted: &[Manifest],
    now: DateTime<Utc>,
) -> Plan {
    let restarted_at = restarted_at(observed);
    let state = assess(observed.deployment.as_ref(), &observed.pods);
    if state == Assessment::Absent {
        return Plan::Apply {
            why: Why::Absent,
            restarted_at: None,
        };
    }
    let is_as_asked_for = current_spec(observed).as_ref() == Some(desired);
    if is_as_asked_for && state == Assessment::Stopped {
        return Plan::Apply {
            why: Why::NotRunning,
            restarted_at,
        };
    }
    if !is_as_asked_for || differs(observed, desired, wanted) {
        return Plan::Apply {
            why: Why::Different,
            restarted_at,
        };
    }
    match state {
        Assessment::Ready { pod, node } => Plan::Keep { pod, node },
        // What may pass by itself is given its time: a new pod would lose what is in the old one.
        Assessment::Progress(_)
        | Assessment::Failing {
            pod: Some(_),
            urgency: Urgency::After(_) | Urgency::AtDeadline,
            ..
        } => Plan::Wait,
        Assessment::Failing { .. } | Assessment::Stopped | Assessment::Absent => Plan::Apply {
            why: Why::NotRunning,
            restarted_at: Some(now),
        },
    }
}

/// Whether Deployment or Service are not as they would be applied.
fn differs(observed: &Observed, desired: &PodSpec, wanted: &[Manifest]) -> bool {
    let unwanted_service = desired.ports.is_empty() && observed.service.is_some();
    let drifted = wanted.iter().any(|wanted| {
        let live = match wanted.kind() {
            "Deployment" => serde_json::to_value(&observed.deployment),
            "Service" => serde_json::to_value(&observed.service),
            _ => return false,
        };
        live.is_ok_and(|live| {
            let mut wanted = wanted.object().clone();
            if live.pointer(APP_LABEL).is_none() {
                without_app_label(&mut wanted);
            }
            has_drifted(&wanted, &live)
        })
    });
    let deployment = observed.deployment.as_ref().map(|it| &it.metadata);
    let service = observed.service.as_ref().map(|it| &it.metadata);
    unwanted_service
        || drifted
        || deployment.is_some_and(|it| !foreign_fields(it, KEPT).is_empty())
        || service.is_some_and(|it| !foreign_fields(it, &[]).is_empty())
}

/// The label `app` of the pods.
const APP_LABEL: &str = "/spec/template/metadata/labels/app";

/// An earlier berth gave its pods no label `app`. They get it with the next change; it is none that a
/// pod would be replaced for.
fn without_app_label(wanted: &mut Value) {
    let labels = wanted.pointer_mut("/spec/template/metadata/labels");
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.remove("app");
    }
}

/// The time that the Deployment carries; leaving it out of what is applied would replace the pod.
pub(super) fn restarted_at(observed: &Observed) -> Option<DateTime<Utc>> {
    let template = &observed.deployment.as_ref()?.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    let time = annotations.get(ANNOTATION_RESTARTED_AT)?;
    Some(DateTime::parse_from_rfc3339(time).ok()?.to_utc())
}
