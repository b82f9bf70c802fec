//! The three operations as functions, for a program that has one cluster and one database.

use tokio::sync::OnceCell;

use super::{Deleted, ExecuteRequest, ManageRequest, Managed, PodManager};
use crate::{cluster::ExecOutput, config::Config, domain::Owner, error::Error};

/// The process's manager, made from its environment when it is first needed.
static MANAGER: OnceCell<PodManager> = OnceCell::const_new();

async fn manager() -> Result<&'static PodManager, Error> {
    MANAGER
        .get_or_try_init(|| async { PodManager::open(&Config::load()?).await })
        .await
}

/// Makes sure that an owner's pod is there, runs, and is as asked for.
///
/// The settings come from the process's environment and its `.env` file, and are read once; a program
/// with more than one cluster makes a [`PodManager`] for each.
///
/// # Errors
/// As [`PodManager::manage`], and when the settings can't be used.
pub async fn manage_pod(request: ManageRequest) -> Result<Managed, Error> {
    manager().await?.manage(request).await
}

/// Runs a command in an owner's pod. The command's exit code is data: see [`ExecOutput`].
///
/// # Errors
/// As [`PodManager::execute`], and when the settings can't be used.
pub async fn execute_in_pod(request: ExecuteRequest) -> Result<ExecOutput, Error> {
    manager().await?.execute(request).await
}

/// Deletes an owner's pod and all that came with it. A success when nothing is left.
///
/// # Errors
/// As [`PodManager::delete`], and when the settings can't be used.
pub async fn delete_pod(owner: &Owner) -> Result<Deleted, Error> {
    manager().await?.delete(owner).await
}
