//! Records of deployments, each written under the lease on its deployment.

mod changed;
mod claim;
mod record;
mod row;

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub use self::record::{
    DeploymentChanges, DeploymentClaim, DeploymentFilter, DeploymentRecord, NewDeployment,
};
use self::{
    changed::{ChangedRow, lock_name},
    row::{Found, Row, into_record},
};
use super::{
    ClusterId, Holder, Listed, Lock, Locked, Store, StoreError,
    fault::Fault,
    lock::Leases,
    pools::{Clock, read, write},
    schema::{deployments, leases},
};
use berth_core::{DeploymentName, Owner};

impl Store {
    /// The deployment's record, or [`StoreError::NoDeployment`]. [`Store::find_deployment`] returns an
    /// option instead.
    ///
    /// # Errors
    /// When there is no record, it can't be read, or the database can't be asked.
    pub async fn get_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
    ) -> Result<DeploymentRecord, StoreError> {
        let found = self.find_deployment(owner, name).await?;
        found.ok_or_else(|| StoreError::NoDeployment {
            owner: owner.clone(),
            name: name.clone(),
        })
    }

    /// The deployment's record, if there is one. [`Store::get_deployment`] fails when there is none.
    ///
    /// # Errors
    /// When the record can't be read, or the database can't be asked.
    pub async fn find_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
    ) -> Result<Option<DeploymentRecord>, StoreError> {
        let (owner, name, clusters) = (owner.clone(), name.to_string(), self.clusters());
        let found: Option<Found> =
            read!(self, "read the deployment's record", async |connection| {
                let found = with_lease()
                    .select(Found::as_select())
                    .filter(is_of(
                        clusters,
                        owner.kind().as_str(),
                        owner.id().to_owned(),
                        name,
                    ))
                    .first(connection)
                    .await;
                Ok(found.optional()?)
            })?;
        found.map(into_record).transpose()
    }

    /// The records that the filter lets through, in the order of their owners' kinds and ids and their
    /// names, and what is wrong with rows that can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn list_deployments(
        &self,
        filter: DeploymentFilter,
    ) -> Result<Listed<DeploymentRecord>, StoreError> {
        let (first, last) = self.clusters();
        let rows: Vec<Found> = read!(self, "list the deployments' records", async |connection| {
            let mut query = with_lease()
                .select(Found::as_select())
                .filter(deployments::cluster_id.between(first, last))
                .into_boxed();
            if let Some(owner) = filter.owner {
                query = query
                    .filter(deployments::owner_kind.eq(owner.kind().as_str()))
                    .filter(deployments::owner_id.eq(owner.id().to_owned()));
            }
            if let Some(status) = filter.status {
                query = query.filter(deployments::status.eq(status.as_str()));
            }
            Ok(query.load(connection).await?)
        })?;
        let mut listed: Listed<_> = rows.into_iter().map(into_record).collect();
        // Not by the database: Postgres' order depends on its locale.
        listed.records.sort_by(|a, b| {
            let key = |record: &DeploymentRecord| {
                let owner = &record.owner;
                (owner.kind(), owner.id().to_owned(), record.name.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(listed)
    }

    /// Writes the changes and returns the record as it is then.
    ///
    /// # Errors
    /// [`StoreError::LockLost`] when the lease is no longer the caller's, and then nothing is written;
    /// or when the database can't be asked.
    pub async fn save_deployment(
        &self,
        lock: &Lock,
        changes: DeploymentChanges,
    ) -> Result<DeploymentRecord, StoreError> {
        let changes = ChangedRow::new(changes)?;
        let lock = lock.clone();
        write!(self, "save the deployment's record", async |connection| {
            let lease = connection.hold(&lock).await?;
            let now = connection.now().await?;
            let saved: Option<Row> = diesel::update(deployments::table)
                .filter(is_locked(&lock))
                .set(changes.at(now))
                .returning(Row::as_returning())
                .get_result(connection)
                .await
                .optional()?;
            match saved {
                Some(row) => Ok(row.into_record(Some(lease))?),
                None => Err(not_a_deployments(&lock)),
            }
        })
    }

    /// Writes down what was seen by somebody who has no lease, and returns the record as it is then,
    /// if there is one. While somebody else holds the lease nothing is written: they will write what
    /// they see.
    ///
    /// # Errors
    /// When the record can't be read, or the database can't be asked.
    pub async fn refresh_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        changes: DeploymentChanges,
    ) -> Result<Option<DeploymentRecord>, StoreError> {
        let (holder, at_once) = (Holder::this_process(), Duration::ZERO);
        let changes = ChangedRow::new(changes)?;
        let lock_name = lock_name(owner, name);
        let Some(cluster) = self.cluster_of_deployment(owner, name).await? else {
            return Ok(None);
        };
        write!(
            self,
            "refresh the deployment's record",
            async |connection| {
                // Held for this transaction alone.
                let locked = connection
                    .take(cluster, &lock_name, &holder, at_once)
                    .await?;
                if let Locked::Taken(lock) = locked {
                    let now = connection.now().await?;
                    diesel::update(deployments::table)
                        .filter(is_locked(&lock))
                        .set(changes.at(now))
                        .execute(connection)
                        .await?;
                    connection.give_back(&lock).await?;
                }
                Ok(())
            }
        )?;
        self.find_deployment(owner, name).await
    }

    /// The store's own cluster, or that of the deployment's record.
    async fn cluster_of_deployment(
        &self,
        owner: &Owner,
        name: &DeploymentName,
    ) -> Result<Option<ClusterId>, StoreError> {
        if self.cluster.is_some() {
            return Ok(self.cluster);
        }
        let (owner, name, clusters) = (owner.clone(), name.to_string(), self.clusters());
        let found: Option<i64> = read!(self, "read the deployment's record", async |connection| {
            Ok(deployments::table
                .filter(is_of(
                    clusters,
                    owner.kind().as_str(),
                    owner.id().to_owned(),
                    name,
                ))
                .select(deployments::cluster_id)
                .first(connection)
                .await
                .optional()?)
        })?;
        Ok(found.map(ClusterId))
    }

    /// Deletes the record, and with it the lease.
    ///
    /// # Errors
    /// As [`Store::save_deployment`].
    pub async fn delete_deployment(&self, lock: &Lock) -> Result<(), StoreError> {
        let lock = lock.clone();
        write!(self, "delete the deployment's record", async |connection| {
            connection.hold(&lock).await?;
            let deleted = diesel::delete(deployments::table)
                .filter(is_locked(&lock))
                .execute(connection)
                .await?;
            if deleted == 0 {
                return Err(not_a_deployments(&lock));
            }
            connection.give_back(&lock).await
        })
    }
}

fn not_a_deployments(lock: &Lock) -> Fault {
    Fault::Store(StoreError::Query {
        act: "write a deployment's record",
        source: format!("the lease on {} is not a deployment's", lock.name()).into(),
    })
}

/// Each record beside the lease on it.
#[diesel::dsl::auto_type]
fn with_lease() -> _ {
    deployments::table.left_join(
        leases::table.on(leases::name
            .eq(deployments::lock_name)
            .and(leases::cluster_id.eq(deployments::cluster_id))),
    )
}

/// The row of the owner's deployment of this name in clusters with numbers from the first to the second.
#[diesel::dsl::auto_type]
fn is_of(clusters: (i64, i64), kind: &'static str, id: String, name: String) -> _ {
    let (first, last): (i64, i64) = clusters;
    deployments::owner_kind
        .eq(kind)
        .and(deployments::owner_id.eq(id))
        .and(deployments::name.eq(name))
        .and(deployments::cluster_id.between(first, last))
}

/// The row of the deployment that is leased.
#[diesel::dsl::auto_type]
fn is_locked(lock: &Lock) -> _ {
    let name: String = lock.name.clone();
    let cluster: i64 = lock.cluster.0;
    deployments::lock_name
        .eq(name)
        .and(deployments::cluster_id.eq(cluster))
}
