//! Says from a Deployment and its pods how far the rollout of one release has come.
//!
//! Which pods count: those that carry the release's mark. Pods of earlier releases serve on until they
//! are replaced, and what is wrong with them is not this rollout's affair. Follows
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>.

use std::time::Duration;

use berth_core::{ANNOTATION_RELEASE, Cause, Diagnosis};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    core::v1::Pod,
};

use super::{Assessment, Urgency, assess_pod, creation};

/// A program that has ended once is started again at once, and may then stay up.
const SECOND_CHANCE: Duration = Duration::from_secs(20);

/// How far a rollout has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// There is no Deployment.
    Absent,
    /// The Deployment asks for another release: another process has deployed since.
    Replaced,
    /// It goes on.
    Progress(Headcount),
    /// All pods that are wanted are of this release and available, and no other is left but on its way
    /// out.
    Done(Headcount),
    /// Something stands in the way of a pod of this release.
    Failing {
        /// What it is. Log lines are for the caller to add.
        diagnosis: Diagnosis,
        /// The pod, when there is one; its log may tell more.
        pod: Option<String>,
        /// When this is the end of the matter.
        urgency: Urgency,
    },
}

/// How many pods there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headcount {
    /// How many are wanted.
    pub wanted: i32,
    /// How many of this release are available.
    pub available: i32,
    /// How many of earlier releases are there, without those on their way out.
    pub old: i32,
}

/// Whether a pod carries this release's mark.
#[must_use]
pub fn is_of_release(pod: &Pod, mark: &str) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(ANNOTATION_RELEASE))
        .map(String::as_str)
        == Some(mark)
}

/// How far the rollout of the release with this mark has come. `pods` are those that the Deployment's
/// selector matches.
#[must_use]
pub fn assess_rollout<'a>(
    deployment: Option<&Deployment>,
    pods: impl IntoIterator<Item = &'a Pod>,
    mark: &str,
) -> Rollout {
    let Some(deployment) = deployment else {
        return Rollout::Absent;
    };
    if deployment.metadata.deletion_timestamp.is_some() {
        return Rollout::Absent;
    }
    if is_replaced_by_another(deployment, mark) {
        return Rollout::Replaced;
    }
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let wanted = wanted.unwrap_or(1);
    let Some(status) = deployment.status.as_ref().filter(|status| {
        status.observed_generation.unwrap_or_default()
            >= deployment.metadata.generation.unwrap_or_default()
    }) else {
        return Rollout::Progress(Headcount {
            wanted,
            ..Headcount::default()
        });
    };
    let pods: Vec<&Pod> = pods.into_iter().collect();
    let heads = headcount(status, wanted, &pods, mark);
    if is_done(status, wanted) {
        // The pods are watched on their own, and may not have been seen yet.
        let available = wanted;
        return Rollout::Done(Headcount { available, ..heads });
    }
    let (leaving, staying): (Vec<&Pod>, Vec<&Pod>) = pods
        .into_iter()
        .partition(|pod| pod.metadata.deletion_timestamp.is_some());
    let new: Vec<&Pod> = staying
        .into_iter()
        .filter(|pod| is_of_release(pod, mark))
        .collect();
    let old_leaves = !leaving.is_empty() || status.terminating_replicas.unwrap_or_default() > 0;
    let creation = creation::failure(status, old_leaves).map(Rollout::from_failing);
    let found = new
        .iter()
        .filter(|pod| !is_replaced(pod, &new, wanted))
        .filter_map(|pod| failure(pod))
        .chain(creation.flatten())
        .min_by_key(Rollout::patience);
    // That the Deployment is said to make no progress is of no use here: it may be said of an earlier
    // release, until this one's first pods are made.
    found.unwrap_or(Rollout::Progress(heads))
}

impl Rollout {
    fn from_failing(assessment: Assessment) -> Option<Self> {
        match assessment {
            Assessment::Failing {
                diagnosis,
                pod,
                urgency,
            } => Some(failing(diagnosis, pod, urgency)),
            _ => None,
        }
    }

    fn patience(&self) -> Duration {
        match self {
            Self::Failing { urgency, .. } => match urgency {
                Urgency::AtOnce => Duration::ZERO,
                Urgency::After(patience) => *patience,
                Urgency::AtDeadline => Duration::MAX,
            },
            _ => Duration::MAX,
        }
    }
}

fn failing(diagnosis: Diagnosis, pod: Option<String>, urgency: Urgency) -> Rollout {
    Rollout::Failing {
        diagnosis,
        pod,
        urgency,
    }
}

/// What is wrong with a pod of this release.
fn failure(pod: &Pod) -> Option<Rollout> {
    let Assessment::Failing {
        diagnosis,
        pod,
        urgency,
    } = assess_pod(pod)
    else {
        return None;
    };
    let first_end =
        diagnosis.restarts == 0 && matches!(diagnosis.cause, Cause::Exited | Cause::OutOfMemory);
    let urgency = if first_end && urgency == Urgency::AtOnce {
        Urgency::After(SECOND_CHANCE)
    } else {
        urgency
    };
    Some(failing(diagnosis, pod, urgency))
}

/// Whether a pod has ended for good (evicted, for one) and others are there in its place.
fn is_replaced(pod: &Pod, new: &[&Pod], wanted: i32) -> bool {
    let has_ended = |pod: &Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Failed" | "Succeeded"))
    };
    let alive = new.iter().filter(|pod| !has_ended(pod)).count();
    has_ended(pod) && i32::try_from(alive).unwrap_or(i32::MAX) >= wanted.min(1)
}

/// Whether the Deployment asks for another release. One without a mark is not judged.
fn is_replaced_by_another(deployment: &Deployment, mark: &str) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    template
        .and_then(|template| template.metadata.as_ref()?.annotations.as_ref())
        .and_then(|annotations| annotations.get(ANNOTATION_RELEASE))
        .is_some_and(|other| other != mark)
}

fn is_done(status: &DeploymentStatus, wanted: i32) -> bool {
    [
        status.replicas,
        status.updated_replicas,
        status.available_replicas,
    ]
    .iter()
    .all(|count| count.unwrap_or_default() == wanted)
}

fn headcount(status: &DeploymentStatus, wanted: i32, pods: &[&Pod], mark: &str) -> Headcount {
    let updated = status.updated_replicas.unwrap_or_default();
    let old = (status.replicas.unwrap_or_default() - updated).max(0);
    let available = status.available_replicas.unwrap_or_default();
    // The status counts available pods of all releases together.
    let ready = pods
        .iter()
        .filter(|pod| is_of_release(pod, mark) && pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| matches!(assess_pod(pod), Assessment::Ready { .. }))
        .count();
    let ready = i32::try_from(ready).unwrap_or(i32::MAX);
    Headcount {
        wanted,
        available: available.min(updated).min(ready),
        old,
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
