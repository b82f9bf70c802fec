//! Records of builds: begun once, ended once.
//!
//! A record is written without a lease: several processes may watch a build and see its end at the same time,
//! and the first end that is written stays.

mod record;
mod row;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub use self::record::{BuildEnd, BuildFilter, BuildRecord, EndedBuild, NewBuild};
use self::row::{EndedRow, NewRow, Row};
use super::{
    Listed, Store, StoreError,
    cell::storable,
    pools::{Clock, read, write},
    schema::builds,
};
use berth_core::{BuildId, BuildStatus};

impl Store {
    /// Records a build that begins now, as [`BuildStatus::Running`].
    ///
    /// # Errors
    /// [`StoreError::BuildExists`] when there is a record of this name; it is left alone. Or when the
    /// database can't be asked.
    pub async fn begin_build(&self, new: NewBuild) -> Result<BuildRecord, StoreError> {
        let id = new.id.clone();
        let new = NewRow::new(self.cluster_for(&new.ssh).await?, new);
        let row: Option<Row> = write!(self, "record the build", async |connection| {
            let now = connection.now().await?;
            let inserted = diesel::insert_into(builds::table)
                .values(new.at(now))
                .on_conflict_do_nothing()
                .returning(Row::as_returning())
                .get_result(connection)
                .await;
            Ok(inserted.optional()?)
        })?;
        row.ok_or(StoreError::BuildExists { id })?.into_record()
    }

    /// Records how the build ended, unless an end is recorded already: the first one stays, and
    /// [`EndedBuild::is_first`] tells whether it is this one.
    ///
    /// # Errors
    /// When there is no record, it can't be read, or the database can't be asked.
    pub async fn end_build(&self, id: &BuildId, end: BuildEnd) -> Result<EndedBuild, StoreError> {
        let end = EndedRow::new(end)?;
        let name = id.to_string();
        let ended: Option<(Row, bool)> =
            write!(self, "record the build's end", async |connection| {
                let now = connection.now().await?;
                let ended: Option<Row> = diesel::update(builds::table)
                    .filter(builds::name.eq(&name))
                    .filter(builds::status.eq(BuildStatus::Running.as_str()))
                    .set(end.at(now))
                    .returning(Row::as_returning())
                    .get_result(connection)
                    .await
                    .optional()?;
                if let Some(row) = ended {
                    return Ok(Some((row, true)));
                }
                let before = builds::table
                    .filter(builds::name.eq(&name))
                    .select(Row::as_select())
                    .first(connection)
                    .await
                    .optional()?;
                Ok(before.map(|row| (row, false)))
            })?;
        let (row, is_first) = ended.ok_or_else(|| StoreError::NoBuild { id: id.clone() })?;
        Ok(EndedBuild {
            record: row.into_record()?,
            is_first,
        })
    }

    /// Says more exactly what is built, of a build that has not ended: the commit, once it is known.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn describe_build(&self, id: &BuildId, source: &str) -> Result<(), StoreError> {
        let name = id.to_string();
        let source = row::without_credentials(source).into_owned();
        let _: usize = write!(self, "describe the build", async |connection| {
            Ok(diesel::update(builds::table)
                .filter(builds::name.eq(&name))
                .filter(builds::status.eq(BuildStatus::Running.as_str()))
                .set(builds::source.eq(&source))
                .execute(connection)
                .await?)
        })?;
        Ok(())
    }

    /// Says that the process that starts a build is alive: its record is written to now.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn touch_build(&self, id: &BuildId) -> Result<(), StoreError> {
        let name = id.to_string();
        let _: usize = write!(self, "write to the build's record", async |connection| {
            let now = connection.now().await?;
            Ok(diesel::update(builds::table)
                .filter(builds::name.eq(&name))
                .filter(builds::status.eq(BuildStatus::Running.as_str()))
                .set(builds::updated_at.eq(storable(now)))
                .execute(connection)
                .await?)
        })?;
        Ok(())
    }

    /// The time by the clock that the records' times are from.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        read!(self, "ask for the time", async |connection| {
            Ok(connection.now().await?)
        })
    }

    /// The build's record, or [`StoreError::NoBuild`]. [`Store::find_build`] returns an option instead.
    ///
    /// # Errors
    /// When there is no record, it can't be read, or the database can't be asked.
    pub async fn get_build(&self, id: &BuildId) -> Result<BuildRecord, StoreError> {
        let found = self.find_build(id).await?;
        found.ok_or_else(|| StoreError::NoBuild { id: id.clone() })
    }

    /// The build's record, if there is one. [`Store::get_build`] fails when there is none.
    ///
    /// # Errors
    /// When the record can't be read, or the database can't be asked.
    pub async fn find_build(&self, id: &BuildId) -> Result<Option<BuildRecord>, StoreError> {
        let name = id.to_string();
        let row: Option<Row> = read!(self, "read the build's record", async |connection| {
            let found = builds::table
                .filter(builds::name.eq(name))
                .select(Row::as_select())
                .first(connection)
                .await;
            Ok(found.optional()?)
        })?;
        row.map(Row::into_record).transpose()
    }

    /// The records that the filter lets through, the newest first, and what is wrong with rows that
    /// can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn list_builds(
        &self,
        filter: BuildFilter,
    ) -> Result<Listed<BuildRecord>, StoreError> {
        let rows: Vec<Row> = read!(self, "list the builds' records", async |connection| {
            let mut query = builds::table.select(Row::as_select()).into_boxed();
            if let Some(status) = filter.status {
                query = query.filter(builds::status.eq(status.as_str()));
            }
            if let Some(name) = filter.image_name {
                query = query.filter(builds::image_name.eq(name));
            }
            if let Some(limit) = filter.limit {
                query = query.limit(limit.into());
            }
            Ok(query.order(builds::id.desc()).load(connection).await?)
        })?;
        Ok(rows.into_iter().map(Row::into_record).collect())
    }

    /// Deletes the build's record, whatever its state. Tells whether there was one.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn delete_build(&self, id: &BuildId) -> Result<bool, StoreError> {
        let name = id.to_string();
        let deleted: usize = write!(self, "delete the build's record", async |connection| {
            let deleted = diesel::delete(builds::table)
                .filter(builds::name.eq(name))
                .execute(connection)
                .await?;
            Ok(deleted)
        })?;
        Ok(deleted > 0)
    }
}
