//! What is written down of a call that failed.

use crate::{
    cluster::ClusterError,
    domain::{Cause, Diagnosis, PodStatus},
    engine::Work,
    error::{Error, Kind},
    store::PodChanges,
};

/// Records why the call failed. What is known of the pod itself is left as it was, unless the
/// cluster has spoken about it; a record that this call made and that nothing came of is taken back.
pub(super) async fn record(work: &Work<'_>, error: &Error, existed: bool) {
    let verdict = match error {
        // Its record says so already.
        Error::PodFailed { .. } => return,
        // The record is of the pod that goes on.
        Error::ImageNotPulled { .. } if existed => return,
        Error::Replaced { .. } => Some(Cause::Replaced),
        Error::Cluster(refused) => verdict(refused),
        _ => None,
    };
    // The cluster, or the way to it, failed without a word about the pod.
    let is_away = verdict.is_none() && matches!(error, Error::Cluster(_));
    let has_applied = work.has_applied();
    let store = work.store();
    let nothing_came_of_it = !existed && !has_applied;
    let written = if nothing_came_of_it && !is_away {
        store.delete(work.lease()).await.map(drop)
    } else {
        let cause = verdict.unwrap_or(match error.kind() {
            Kind::Denied => Cause::Denied,
            _ => Cause::Unreachable,
        });
        let diagnosis = Diagnosis::new(cause, error.to_string());
        let mut changes = PodChanges::new().diagnosis(Some(&diagnosis));
        if !existed || verdict.is_some() {
            changes = changes.status(PodStatus::Error);
        }
        store.save(work.lease(), changes).await.map(drop)
    };
    if let Err(failed) = written {
        tracing::warn!(error = %failed, "the failure could not be recorded");
    }
}

/// What the cluster's refusal says about the pod; none when it says nothing about it.
fn verdict(refused: &ClusterError) -> Option<Cause> {
    match refused {
        ClusterError::Quota { .. } => Some(Cause::Quota),
        ClusterError::PodSecurity { .. } => Some(Cause::PodSecurity),
        ClusterError::Refused { .. }
        | ClusterError::Invalid { .. }
        | ClusterError::Immutable { .. }
        | ClusterError::UnknownField { .. }
        | ClusterError::BadYaml { .. }
        | ClusterError::Conflict { .. }
        | ClusterError::NodePortTaken { .. }
        | ClusterError::TooLarge { .. } => Some(Cause::Refused),
        _ => None,
    }
}
