//! The recorded pods, read without a way to the cluster.

use crate::{
    config::DatabaseUrl,
    domain::PodStatus,
    error::Error,
    store::{PodFilter, PodRecord, Store},
};

/// The recorded pods, those that were last seen in this state when one is given. The database is all
/// that is needed: [`PodManager::list`](super::PodManager::list) is the same for who has a manager.
///
/// # Errors
/// When the records can't be read.
pub async fn recorded(
    database: &DatabaseUrl,
    status: Option<PodStatus>,
) -> Result<Vec<PodRecord>, Error> {
    list(&Store::open(database).await?, status).await
}

pub(super) async fn list(
    store: &Store,
    status: Option<PodStatus>,
) -> Result<Vec<PodRecord>, Error> {
    Ok(store.list(PodFilter { status, kind: None }).await?)
}
