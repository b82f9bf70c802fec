//! Whether a pod that no node takes may still get one, in the words of kube-scheduler.

use std::time::Duration;

use berth_core::{Cause, Diagnosis};
use k8s_openapi::api::core::v1::PodStatus;

use super::{Urgency, pod::condition};

/// How long an autoscaler may take to say that it adds a node.
const SCALING: Duration = Duration::from_secs(20);
/// What passes by itself although no other pod's end helps: a node that is not ready or cordoned, and a
/// volume that is not provisioned yet.
const PASSING: [&str; 3] = ["were unschedulable", "unbound", "not ready"];
/// The taints that Kubernetes sets and takes off by itself.
const PASSING_TAINTS: [&str; 2] = [
    "taint {node.kubernetes.io/",
    "taint {node.cloudprovider.kubernetes.io/",
];

/// What the scheduler says of a pod without a node.
pub(super) fn failure(status: &PodStatus) -> Option<(Diagnosis, Urgency)> {
    let scheduled = condition(status, "PodScheduled")?;
    let is_so = scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable");
    is_so.then(|| {
        let message = scheduled.message.clone().unwrap_or_default();
        let urgency = if may_pass(&message) {
            Urgency::AtDeadline
        } else {
            Urgency::After(SCALING)
        };
        (Diagnosis::new(Cause::Unschedulable, message), urgency)
    })
}

/// Whether the pod may get a node of those that there are. `Preemption is not helpful` is said of a node
/// that could not take the pod if it were empty, `No preemption victims found` of one that is full.
fn may_pass(message: &str) -> bool {
    let message = message.to_lowercase();
    let is_final =
        message.contains("preemption is not helpful") && !message.contains("no preemption victims");
    !is_final || PASSING.iter().any(|words| message.contains(words)) || taint_may_pass(&message)
}

/// Whether a taint keeps the pod out that may go. Most clusters have tainted control planes, and newer
/// schedulers do not name a taint's key: then it counts only where no node lacks room as well.
fn taint_may_pass(message: &str) -> bool {
    if message.contains("taint {") {
        PASSING_TAINTS.iter().any(|taint| message.contains(taint))
    } else {
        message.contains("taint") && !message.contains("insufficient")
    }
}

/// Whether what every node misses that could take the pod is a label that the pod asks for. A node that is
/// cordoned or not ready yet is not compared with the pod's selector.
#[must_use]
pub fn misses_label(message: &str) -> bool {
    let says = |words: &str| message.contains(words);
    says("didn't match Pod's node affinity/selector")
        && ![
            "Insufficient",
            "Too many pods",
            "were unschedulable",
            "taint {node.",
        ]
        .into_iter()
        .any(says)
}

/// What the scheduler misses, without what it says of preemption: `1 Insufficient cpu`.
#[must_use]
pub fn missing(message: &str) -> &str {
    let message = message
        .split_once("nodes are available: ")
        .map_or(message, |(_, missing)| missing);
    let end = [". no new claims", ". preemption:", ", preemption:"]
        .iter()
        .filter_map(|words| message.find(words))
        .min();
    let missing = end.and_then(|end| message.get(..end)).unwrap_or(message);
    missing.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOPELESS: &str = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, \
        preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

    #[test]
    fn only_a_pod_that_fits_on_no_node_is_given_up_before_the_deadline() {
        for hopeless in [
            HOPELESS,
            "0/3 nodes are available: 1 node(s) had untolerated taint \
             {node-role.kubernetes.io/control-plane: }, 2 Insufficient memory. preemption: 0/3 nodes \
             are available: 3 Preemption is not helpful for scheduling.",
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory. \
             preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        ] {
            assert!(!may_pass(hopeless), "{hopeless}");
        }
        for passing in [
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
             1 No preemption victims found for incoming pod.",
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node \
             affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found \
             for incoming pod, 1 Preemption is not helpful for scheduling.",
            "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are \
             available: 1 Preemption is not helpful for scheduling.",
            "0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: 0/1 nodes are \
             available: 1 Preemption is not helpful for scheduling.",
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint \
             {node.kubernetes.io/not-ready: }. preemption: 0/2 nodes are available: 2 Preemption is \
             not helpful for scheduling.",
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: \
             0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            "no nodes available to schedule pods",
            "",
        ] {
            assert!(may_pass(passing), "{passing}");
        }
    }

    #[test]
    fn what_is_missing_is_said_shortly() {
        assert_eq!(missing(HOPELESS), "1 Insufficient cpu");
        let older = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are";
        assert_eq!(missing(older), "3 Insufficient memory");
        let none = "no nodes available to schedule pods";
        assert_eq!(missing(none), none);
    }
}
