//! Whether an autoscaler makes a node for a pod.

use berth_core::Namespace;
use k8s_openapi::api::core::v1::Event;

use super::{Client, Query, Resource};

/// What Cluster Autoscaler and Karpenter say of a pod for which they add a node.
const REASONS: [&str; 2] = ["TriggeredScaleUp", "Nominated"];

/// Whether an autoscaler has said that it adds a node for this pod. One trip; what may not be read is
/// taken for a no.
pub async fn is_node_coming(cluster: &Client, namespace: &Namespace, pod: &str) -> bool {
    let mut query = Query::in_namespace([Resource::EVENTS], namespace);
    query.fields = Some(format!("involvedObject.name={pod}"));
    let events = match cluster.find(&[query]).await {
        Ok(found) => found.of::<Event>().unwrap_or_default(),
        Err(error) => {
            tracing::debug!(pod, %error, "the pod's events can't be read");
            return false;
        }
    };
    let mut reasons = events.iter().filter_map(|event| event.reason.as_deref());
    reasons.any(|reason| REASONS.contains(&reason))
}
