//! What is recorded of a deployment that failed.

use crate::{
    cluster::ClusterError,
    domain::{Cause, DeploymentStatus, Diagnosis},
    engine::Work,
    error::{Error, Kind},
    store::DeploymentChanges,
};

/// Records why the call failed. The deployment's state stays as it was, unless something was changed in
/// the cluster; a rollout that may still be running when the connection was lost is not recorded as failed;
/// deletes the record if this call created it and nothing was applied.
pub(super) async fn record(work: &Work<'_>, error: &Error, existed: bool) {
    let store = work.store();
    let lease = work.lease();
    let has_applied = work.has_applied();
    // Its record says so already.
    if has_applied && matches!(error, Error::DeployFailed { .. }) {
        return;
    }
    let written = if !existed && !has_applied {
        store.delete_deployment(lease).await.map(drop)
    } else if has_applied && is_lost(error) {
        // The rollout may still be running, and its record says that it is in progress.
        Ok(())
    } else if has_applied {
        let diagnosis = Diagnosis::new(cause(error), error.to_string());
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Failed)
            .diagnosis(Some(&diagnosis));
        store.save_deployment(lease, changes).await.map(drop)
    } else {
        Ok(())
    };
    if let Err(failed) = written {
        tracing::warn!(error = %failed, "the failure could not be recorded");
    }
}

/// Whether the cluster is out of reach, which says nothing of what it does.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unreachable | Kind::LinkLost)
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Replaced { .. } => Cause::Replaced,
        Error::Cluster(ClusterError::Quota { .. }) => Cause::Quota,
        Error::Cluster(ClusterError::PodSecurity { .. }) => Cause::PodSecurity,
        error => match error.kind() {
            Kind::Denied => Cause::Denied,
            Kind::TimedOut => Cause::Unreachable,
            _ => Cause::Refused,
        },
    }
}
