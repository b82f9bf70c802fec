//! The records alone, without a way to the cluster.

use std::time::Duration;

use crate::{
    domain::{Invalid, Operation, Owner, PodStatus, Workload},
    engine::{LEASE_TTL, LeaseWait, ended, local_user},
    error::Error,
    store::{Claim, Holder, Listed, NewOperation, PodFilter, PodRecord, Store},
};

/// Returns the recorded pods, only those that were last seen in this state when one is given.
pub(crate) async fn recorded(
    store: &Store,
    status: Option<PodStatus>,
) -> Result<Listed<PodRecord>, Error> {
    let owner = None;
    Ok(store.list(PodFilter { owner, status }).await?)
}

/// Deletes the record of an owner's pod, and records that; returns whether there was one.
pub(crate) async fn forget(store: &Store, owner: &Owner) -> Result<bool, Error> {
    let records = store.find_in_all_clusters(owner).await?;
    let record = match records.as_slice() {
        [] => return Ok(false),
        [only] => only,
        several => {
            let hosts: Vec<_> = several.iter().map(|it| it.ssh.to_string()).collect();
            let problem = format!(
                "has pods on record in several clusters: {}",
                hosts.join(", ")
            );
            let remedy = "delete each pod with the settings of its host";
            return Err(Invalid::new("owner", owner.id(), problem, remedy).into());
        }
    };
    let store = store.in_cluster(record.cluster);
    let (holder, workload) = (Holder::this_process(), Workload::pod(owner));
    let new = NewOperation {
        operation: Operation::Forget,
        workload: workload.clone(),
        ssh: record.ssh.clone(),
        local_user: local_user(),
    };
    // Without settings it is not known for how long operations stay on record.
    let id = store.begin_operation(new, &holder, Duration::MAX).await?;
    let deleted = delete(&store, &workload, &holder).await;
    let end = ended(&deleted, |_| Some("forgotten".to_owned()));
    if let Err(error) = store.end_operation(id, end).await {
        tracing::warn!(%error, "the end of an operation could not be recorded");
    }
    deleted
}

async fn delete(store: &Store, workload: &Workload, holder: &Holder) -> Result<bool, Error> {
    let mut wait = LeaseWait::for_the_dead(LEASE_TTL);
    loop {
        match store.lease(workload, holder, LEASE_TTL).await? {
            Claim::Taken(lease, ()) => return Ok(store.delete(&lease).await?),
            Claim::Held(by) => {
                let say = |holder| tracing::info!(%holder, "waiting for the pod's lease");
                wait.next(workload, &by, say).await?;
            }
        }
    }
}
