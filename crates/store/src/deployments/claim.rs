//! Taking the lease on a deployment.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{
    DeploymentClaim, NewDeployment, Row,
    changed::{NewRow, lock_name},
    is_of,
};
use crate::{
    Holder, Locked, Store, StoreError,
    lock::Leases,
    pools::{Clock, write},
    schema::deployments,
};
use berth_core::{DeploymentName, Owner};

impl Store {
    /// Takes the lease on the owner's deployment of this name, and makes its record when there is none.
    /// Both happen in one transaction; `new` is used only when there is no record.
    ///
    /// The lease holds for `ttl`, unless it is [renewed](Store::renew_lock) or
    /// [given back](Store::unlock) before. A lease whose time is up is taken over.
    ///
    /// # Errors
    /// When the database can't be asked, or the record can't be read. A lease that is somebody else's
    /// is no error but [`DeploymentClaim::Held`].
    pub async fn claim_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        new: &NewDeployment,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<DeploymentClaim, StoreError> {
        let cluster = self.cluster_for(&new.ssh).await?;
        let row = NewRow::new(cluster, owner, name, new);
        let this = self.in_cluster(cluster);
        let claimed = this.take_deployment(owner, name, Some(row), holder, ttl);
        claimed.await?.ok_or_else(|| StoreError::Query {
            act: "claim the deployment",
            source: "its lease is held, and it has no record".into(),
        })
    }

    /// Takes the lease on the owner's deployment of this name if there is a record of it, as
    /// [`Store::claim_deployment`] does.
    ///
    /// # Errors
    /// As [`Store::claim_deployment`].
    pub async fn find_and_lock_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Option<DeploymentClaim>, StoreError> {
        self.take_deployment(owner, name, None, holder, ttl).await
    }

    async fn take_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        new: Option<NewRow>,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Option<DeploymentClaim>, StoreError> {
        let Some(cluster) = self.cluster_of_deployment(owner, name).await? else {
            return Ok(None);
        };
        let clusters = (cluster.0, cluster.0);
        let (owner, name, holder) = (owner.clone(), name.clone(), holder.clone());
        write!(self, "claim the deployment", async |connection| {
            let lock_name = lock_name(&owner, &name);
            let locked = connection.take(cluster, &lock_name, &holder, ttl).await?;
            let found: Option<Row> = deployments::table
                .filter(is_of(
                    clusters,
                    owner.kind().as_str(),
                    owner.id().to_owned(),
                    name.into(),
                ))
                .select(Row::as_select())
                .first(connection)
                .await
                .optional()?;
            let existed = found.is_some();
            let lock = match locked {
                Locked::Taken(lock) => lock,
                Locked::Held(by) => {
                    let record = found.map(|row| row.into_record(Some(by.clone())));
                    let held = |record| DeploymentClaim::Held { record, by };
                    return Ok(record.transpose()?.map(held));
                }
            };
            let row = match (found, new) {
                (Some(row), _) => row,
                (None, Some(new)) => {
                    let now = connection.now().await?;
                    diesel::insert_into(deployments::table)
                        .values(new.at(now))
                        .returning(Row::as_returning())
                        .get_result(connection)
                        .await?
                }
                (None, None) => {
                    connection.give_back(&lock).await?;
                    return Ok(None);
                }
            };
            Ok(Some(DeploymentClaim::Taken {
                record: row.into_record(Some(lock.info().clone()))?,
                lock,
                existed,
            }))
        })
    }
}
