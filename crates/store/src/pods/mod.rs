//! Records of pods: an owner has one in a cluster.

mod changed;
mod record;
mod row;

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub use self::record::{NewPod, PodChanges, PodRecord};
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
    schema::{leases, pods},
};
use berth_core::{Owner, PodStatus, Workload};

/// Which records [`Store::list`] returns.
pub type PodFilter = RecordFilter<PodStatus>;

records! {
    pods, "pod", PodRecord, NewPod, PodChanges, PodFilter,
    (owner: &Owner) => Workload::pod(owner),
    claim, get, find, list, save, refresh, delete
}

impl Store {
    /// Returns the owner's records in all clusters, also of a store [of one cluster](Store::in_cluster).
    ///
    /// # Errors
    /// When a record can't be read, or the database can't be asked.
    pub async fn find_in_all_clusters(&self, owner: &Owner) -> Result<Vec<PodRecord>, StoreError> {
        let filter = PodFilter {
            owner: Some(owner.clone()),
            status: None,
        };
        let mut listed = self.in_all_clusters().list(filter).await?;
        match listed.unreadable.pop() {
            Some(error) => Err(error),
            None => Ok(listed.records),
        }
    }
}
