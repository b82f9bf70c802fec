//! Records of deployments: an owner has them by name.

mod changed;
mod record;
mod row;

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub use self::record::{DeploymentChanges, DeploymentRecord, NewDeployment};
use self::{
    changed::{ChangedRow, NewRow},
    row::Row,
};
use super::{
    Claim, Claimed, ClusterId, Holder, Lease, LeaseInfo, Listed, RecordFilter, Store, StoreError,
    fault::Fault,
    lease::{LeaseRow, Leases},
    pools::{Clock, read, write},
    records::{Key, none_of, records, sort},
    schema::{deployments, leases},
};
use berth_core::{DeploymentName, DeploymentStatus, Owner, Workload};

/// Which records [`Store::list_deployments`] returns.
pub type DeploymentFilter = RecordFilter<DeploymentStatus>;

records! {
    deployments, "deployment", DeploymentRecord, NewDeployment, DeploymentChanges, DeploymentFilter,
    (owner: &Owner, name: &DeploymentName) => Workload::deployment(owner, name),
    claim_deployment, get_deployment, find_deployment, list_deployments, save_deployment,
    refresh_deployment, delete_deployment
}
