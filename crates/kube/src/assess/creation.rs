//! Why the cluster does not create the Deployment's pod at all.

use std::time::Duration;

use berth_core::{Cause, Diagnosis};
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

use super::{Assessment, Refusal, Urgency};

/// A quota's count of what is used follows a deleted pod by a moment.
const COUNTING: Duration = Duration::from_secs(3);
/// The grace of an old pod (10 s in berth's template), and a moment.
const LEAVING: Duration = Duration::from_secs(15);

/// What the condition `ReplicaFailure` says, when it says something. `old_leaves`: a pod that is on
/// its way out may still hold what the new one needs.
pub(super) fn failure(status: &DeploymentStatus, old_leaves: bool) -> Option<Assessment> {
    let condition = condition(status, "ReplicaFailure")
        .filter(|condition| condition.status == "True")
        .filter(|condition| condition.reason.as_deref() == Some("FailedCreate"))?;
    let message = condition.message.clone().unwrap_or_default();
    let cause = match Refusal::of(&message) {
        Refusal::PodSecurity => Cause::PodSecurity,
        Refusal::Quota => Cause::Quota,
        Refusal::NoServiceAccount | Refusal::Other => Cause::Refused,
    };
    let urgency = if !is_current(status, &message) {
        // The Deployment also repeats the failure of a ReplicaSet that it has given up.
        Urgency::After(LEAVING)
    } else if cause != Cause::Quota {
        Urgency::AtOnce
    } else if old_leaves {
        Urgency::After(LEAVING)
    } else {
        Urgency::After(COUNTING)
    };
    Some(Assessment::Failing {
        diagnosis: Diagnosis::new(cause, message),
        pod: None,
        urgency,
    })
}

/// Whether the failure is the current `ReplicaSet`'s. The condition `Progressing` names that one, in
/// quotes, and the failure names the pod, which begins with its `ReplicaSet`'s name.
fn is_current(status: &DeploymentStatus, message: &str) -> bool {
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let replica_set = condition(status, "Progressing")
        .and_then(|condition| condition.message.as_deref())
        .and_then(quoted);
    match (replica_set, quoted(message)) {
        (Some(replica_set), Some(pod)) => pod.starts_with(&format!("{replica_set}-")),
        _ => true,
    }
}

fn condition<'a>(status: &'a DeploymentStatus, name: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == name)
}
