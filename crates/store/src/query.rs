//! Reading and writing records.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{
    Lease, Listed, PodChanges, PodFilter, PodRecord, Store, StoreError,
    changed::{ChangedRow, storable},
    claim::{is_leased, is_of},
    pools::{Clock, read, write},
    row::Row,
    schema::pods,
};
use berth_core::Owner;

impl Store {
    /// The owner's record, or [`StoreError::NotFound`]. [`Store::find`] returns an option instead.
    ///
    /// # Errors
    /// When there is no record, it can't be read, or the database can't be asked.
    pub async fn get(&self, owner: &Owner) -> Result<PodRecord, StoreError> {
        let found = self.find(owner).await?;
        found.ok_or_else(|| StoreError::NotFound {
            owner: owner.clone(),
        })
    }

    /// The owner's record, if there is one. [`Store::get`] fails when there is none.
    ///
    /// # Errors
    /// When the record can't be read, or the database can't be asked.
    pub async fn find(&self, owner: &Owner) -> Result<Option<PodRecord>, StoreError> {
        let (owner, clusters) = (owner.clone(), self.clusters());
        let row: Option<Row> = read!(self, "read the pod's record", async |connection| {
            let found = pods::table
                .filter(is_of(
                    clusters,
                    owner.kind().as_str(),
                    owner.id().to_owned(),
                ))
                .select(Row::as_select())
                .first(connection)
                .await;
            Ok(found.optional()?)
        })?;
        row.map(Row::into_record).transpose()
    }

    /// The owner's records in all clusters, also of a store [of one cluster](Store::in_cluster).
    ///
    /// # Errors
    /// When a record can't be read, or the database can't be asked.
    pub async fn find_in_all_clusters(&self, owner: &Owner) -> Result<Vec<PodRecord>, StoreError> {
        let owner = owner.clone();
        let rows: Vec<Row> = read!(self, "read the pod's records", async |connection| {
            Ok(pods::table
                .filter(is_of(
                    (0, i64::MAX),
                    owner.kind().as_str(),
                    owner.id().to_owned(),
                ))
                .select(Row::as_select())
                .order(pods::id)
                .load(connection)
                .await?)
        })?;
        rows.into_iter().map(Row::into_record).collect()
    }

    /// The records that the filter lets through, in the order of their owners' kinds and ids, and what
    /// is wrong with rows that can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn list(&self, filter: PodFilter) -> Result<Listed<PodRecord>, StoreError> {
        let (first, last) = self.clusters();
        let rows: Vec<Row> = read!(self, "list the pods' records", async |connection| {
            let mut query = pods::table
                .select(Row::as_select())
                .filter(pods::cluster_id.between(first, last))
                .into_boxed();
            if let Some(status) = filter.status {
                query = query.filter(pods::status.eq(status.as_str()));
            }
            if let Some(kind) = filter.kind {
                query = query.filter(pods::owner_kind.eq(kind.as_str()));
            }
            Ok(query.load(connection).await?)
        })?;
        let mut listed: Listed<_> = rows.into_iter().map(Row::into_record).collect();
        // Not by the database: Postgres' order depends on its locale.
        listed.records.sort_by(|a, b| {
            let key = |record: &PodRecord| (record.owner.kind(), record.owner.id().to_owned());
            key(a).cmp(&key(b))
        });
        Ok(listed)
    }

    /// Writes the changes and returns the record as it is then.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when the lease is no longer the caller's, and then nothing is
    /// written; or when the database can't be asked.
    pub async fn save(&self, lease: &Lease, changes: PodChanges) -> Result<PodRecord, StoreError> {
        let changes = ChangedRow::new(changes)?;
        let (record, number) = (lease.record, lease.number);
        let row: Option<Row> = write!(self, "save the pod's record", async |connection| {
            let now = connection.now().await?;
            let saved = diesel::update(pods::table)
                .filter(is_leased(record, number))
                .set(changes.at(now))
                .returning(Row::as_returning())
                .get_result(connection)
                .await;
            Ok(saved.optional()?)
        })?;
        match row {
            Some(row) => row.into_record(),
            None => Err(self.lost(lease).await?),
        }
    }

    /// Writes down what was seen by somebody who has no lease, and returns the record as it is then,
    /// if there is one. While somebody else holds the lease nothing is written: they will write what
    /// they see.
    ///
    /// # Errors
    /// When the record can't be read, or the database can't be asked.
    pub async fn refresh(
        &self,
        owner: &Owner,
        changes: PodChanges,
    ) -> Result<Option<PodRecord>, StoreError> {
        let changes = ChangedRow::new(changes)?;
        let (of, clusters) = (owner.clone(), self.clusters());
        let row: Option<Row> = write!(self, "refresh the pod's record", async |connection| {
            let now = connection.now().await?;
            let is_free = pods::lease_until
                .is_null()
                .or(pods::lease_until.le(storable(now)));
            let refreshed = diesel::update(pods::table)
                .filter(is_of(clusters, of.kind().as_str(), of.id().to_owned()))
                .filter(is_free)
                .set(changes.at(now))
                .returning(Row::as_returning())
                .get_result(connection)
                .await;
            Ok(refreshed.optional()?)
        })?;
        match row {
            Some(row) => row.into_record().map(Some),
            None => self.find(owner).await,
        }
    }

    /// Deletes the record, and with it the lease.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub async fn delete(&self, lease: &Lease) -> Result<(), StoreError> {
        let (record, number) = (lease.record, lease.number);
        let deleted: usize = write!(self, "delete the pod's record", async |connection| {
            let deleted = diesel::delete(pods::table)
                .filter(is_leased(record, number))
                .execute(connection)
                .await?;
            Ok(deleted)
        })?;
        if deleted == 1 {
            Ok(())
        } else {
            Err(self.lost(lease).await?)
        }
    }

    async fn lost(&self, lease: &Lease) -> Result<StoreError, StoreError> {
        let now = self.find(&lease.owner).await?;
        Ok(StoreError::LeaseLost {
            owner: lease.owner.clone(),
            by: now.and_then(|record| record.lease),
        })
    }
}
