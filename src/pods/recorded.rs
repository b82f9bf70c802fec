//! The records alone, without a way to the cluster.

use super::lease::TTL;
use crate::{
    domain::{Owner, PodStatus},
    error::Error,
    site::LeaseWait,
    store::{Claim, DatabaseUrl, Holder, Listed, PodFilter, PodRecord, Store},
};

/// The recorded pods, those that were last seen in this state when one is given, and what is wrong with
/// records that can't be read. The database is all that is needed:
/// [`PodManager::list`](super::PodManager::list) is the same for who has a manager.
///
/// # Errors
/// When the database can't be asked.
pub async fn recorded(
    database: &DatabaseUrl,
    status: Option<PodStatus>,
) -> Result<Listed<PodRecord>, Error> {
    list(&Store::open(database).await?, status).await
}

pub(super) async fn list(
    store: &Store,
    status: Option<PodStatus>,
) -> Result<Listed<PodRecord>, Error> {
    Ok(store.list(PodFilter { status, kind: None }).await?)
}

/// Forgets an owner's pod; [`PodManager::forget`](super::PodManager::forget) is the same for who has a
/// manager. Tells whether there was a record.
///
/// # Errors
/// When the records fail, or somebody works on this pod.
pub async fn forget(database: &DatabaseUrl, owner: &Owner) -> Result<bool, Error> {
    forget_in(&Store::open(database).await?, owner).await
}

pub(super) async fn forget_in(store: &Store, owner: &Owner) -> Result<bool, Error> {
    let holder = Holder::this_process();
    let mut wait = LeaseWait::for_the_dead(TTL);
    loop {
        match store.find_and_lease(owner, &holder, TTL).await? {
            None => return Ok(false),
            Some(Claim::Taken { lease, .. }) => {
                store.delete(&lease).await?;
                return Ok(true);
            }
            Some(Claim::Held { by, .. }) => {
                let what = format!("the pod of {owner}");
                let say = |holder| tracing::info!(%holder, "waiting for the pod's lease");
                wait.next(&what, &by, say).await?;
            }
        }
    }
}
