//! Says from a Deployment and its pods how far the owner's pod has come, and what stands in its way.
//!
//! Pure: no clock and no I/O. How long a state has lasted is counted by the one who watches, against
//! [`Urgency`]. Follows <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/> and
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>.

mod container;
mod creation;
mod doing;
mod image_pull;
mod pod;
mod refusal;
mod rollout;
mod scheduling;
mod warned;

use std::time::Duration;

use berth_core::Diagnosis;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};

pub use self::{
    container::{container_end, container_status},
    doing::Doing,
    image_pull::lacks_registry,
    pod::assess_pod,
    refusal::Refusal,
    rollout::{Headcount, Rollout, assess_rollout, is_of_release},
    scheduling::{misses_label, missing},
    warned::{Trouble, setup_failure},
};

/// How far a pod has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assessment {
    /// There is no Deployment.
    Absent,
    /// The Deployment is there and wants no pod.
    Stopped,
    /// Nothing is wrong as far as the status says, and it goes on.
    Progress(Doing),
    /// The pod is ready.
    Ready {
        /// Its name.
        pod: String,
        /// The node that it runs on.
        node: Option<String>,
    },
    /// Something stands in the pod's way.
    Failing {
        /// What it is. Log lines are for the caller to add.
        diagnosis: Diagnosis,
        /// The pod, when there is one; its log may tell more.
        pod: Option<String>,
        /// When this is the end of the matter.
        urgency: Urgency,
    },
}

impl Assessment {
    /// Whether a node has the pod, and none of its containers can start yet. Where the node fails at that,
    /// only the cluster's events say so.
    #[must_use]
    pub fn is_setting_up(&self) -> bool {
        matches!(self, Self::Progress(Doing::SettingUp { .. }))
    }
}

/// How long a failing state must last before it is taken for the end of the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Waiting does not help.
    AtOnce,
    /// It may pass; not after it has lasted so long.
    After(Duration),
    /// It may pass at any time: only the caller's own deadline ends the wait.
    AtDeadline,
}

/// How far the Deployment's pod has come. `pods` are the pods that its selector matches.
///
/// Which of them counts: a Deployment's status tells of the specification that it has observed, so
/// nothing is said before `observedGeneration` has reached `generation`. From then on
/// `updatedReplicas` counts pods of the current revision alone, and with the `Recreate` strategy such
/// a pod is made only after every older one has ended. So as long as the count is zero every pod that
/// is seen is an old one; after that, those that are left over are on their way out or have failed
/// (evicted ones linger), and the newest that is not being deleted is the current one.
#[must_use]
pub fn assess<'a>(
    deployment: Option<&Deployment>,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Assessment {
    let Some(deployment) = deployment else {
        return Assessment::Absent;
    };
    if deployment.metadata.deletion_timestamp.is_some() {
        return Assessment::Progress(Doing::DeletingDeployment);
    }
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    if wanted == Some(0) {
        return Assessment::Stopped;
    }
    let Some(status) = deployment.status.as_ref().filter(|status| {
        status.observed_generation.unwrap_or_default()
            >= deployment.metadata.generation.unwrap_or_default()
    }) else {
        return Assessment::Progress(Doing::AwaitingController);
    };
    let (leaving, staying): (Vec<_>, Vec<_>) = pods
        .into_iter()
        .partition(|pod| pod.metadata.deletion_timestamp.is_some());
    if status.updated_replicas.unwrap_or_default() > 0 {
        let current = staying
            .into_iter()
            .max_by_key(|pod| (&pod.metadata.creation_timestamp, &pod.metadata.name));
        if let Some(pod) = current {
            return match assess_pod(pod) {
                Assessment::Ready { .. } if !stays_up(deployment) => {
                    Assessment::Progress(Doing::MakingSure)
                }
                assessment => assessment,
            };
        }
    }
    let old_leaves = !leaving.is_empty() || status.terminating_replicas.unwrap_or_default() > 0;
    if let Some(failing) = creation::failure(status, old_leaves) {
        return failing;
    }
    Assessment::Progress(if old_leaves {
        Doing::AwaitingOldPod
    } else {
        Doing::Creating
    })
}

/// Whether the ready pod has been so for the Deployment's `minReadySeconds`. A container that ends at
/// once is ready for a moment when it has no readiness probe.
fn stays_up(deployment: &Deployment) -> bool {
    let spec = deployment.spec.as_ref();
    let status = deployment.status.as_ref();
    spec.and_then(|spec| spec.min_ready_seconds)
        .unwrap_or_default()
        == 0
        || status
            .and_then(|status| status.available_replicas)
            .unwrap_or_default()
            > 0
}

#[cfg(test)]
mod tests;
