//! Records of operations: what changed a cluster, when, by which user, and how it ended.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use berth_core::{Operation, Outcome, Owner, OwnerKind, Workload};

use super::{
    ClusterId, Holder, Life, Listed, SshPlace, Store, StoreError,
    cell::{Moment, RowAt, storable},
    pools::{Clock, read, write},
    schema::operations,
};

/// How long an operation may stay on record at most: 10 years.
const LONGEST: TimeDelta = TimeDelta::days(3650);

/// What is remembered of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperationRecord {
    /// The record's number; a later operation has a higher one.
    pub id: i64,
    /// What it does.
    pub operation: Operation,
    /// What it works on.
    pub workload: Workload,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
    /// The user who ran berth, on the machine where it ran.
    pub local_user: String,
    /// The process that ran it.
    pub holder: Holder,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it ended, once its end has been recorded.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended, once its end has been recorded.
    pub outcome: Option<Outcome>,
    /// What a success has done, in a word: `created`, `unchanged`.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl OperationRecord {
    /// Whether its process is known to have ended without recording how the operation ended.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.outcome.is_none() && self.holder.life() == Life::Dead
    }
}

/// What the record of an operation begins with; see [`OperationRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperation {
    /// What it does.
    pub operation: Operation,
    /// What it works on.
    pub workload: Workload,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
    /// The user who runs berth.
    pub local_user: String,
}

/// The end of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// What a success has done, in a word.
    pub result: Option<String>,
    /// Why it failed. Never with a secret in it.
    pub error: Option<String>,
}

/// Which operations [`Store::list_operations`] returns; the default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// Only those on workloads of this owner.
    pub owner: Option<Owner>,
    /// Only so many, the newest.
    pub limit: Option<u32>,
}

impl Store {
    /// Records an operation that begins now, and deletes the records of those that began longer ago than
    /// `keep`. Returns the record's number.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn begin_operation(
        &self,
        new: NewOperation,
        holder: &Holder,
        keep: Duration,
    ) -> Result<i64, StoreError> {
        let row = NewRow::new(self.cluster_for(&new.ssh).await?, new, holder);
        let keep = TimeDelta::from_std(keep).unwrap_or(LONGEST).min(LONGEST);
        write!(self, "record the operation", async |connection| {
            let now = connection.now().await?;
            diesel::delete(operations::table)
                .filter(operations::began_at.lt(storable(now - keep)))
                .execute(connection)
                .await?;
            let id: i64 = diesel::insert_into(operations::table)
                .values(row.at(now))
                .returning(operations::id)
                .get_result(connection)
                .await?;
            Ok(id)
        })
    }

    /// Records how an operation ended. The first end that is recorded stays.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn end_operation(&self, id: i64, end: OperationEnd) -> Result<(), StoreError> {
        let outcome: &'static str = end.outcome.into();
        write!(self, "record the operation's end", async |connection| {
            let now = connection.now().await?;
            diesel::update(operations::table.find(id))
                .filter(operations::ended_at.is_null())
                .set((
                    operations::ended_at.eq(storable(now)),
                    operations::outcome.eq(outcome),
                    operations::result.eq(end.result),
                    operations::error.eq(end.error),
                ))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    /// The operations that the filter lets through, the newest first, and what is wrong with rows that
    /// can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn list_operations(
        &self,
        filter: OperationFilter,
    ) -> Result<Listed<OperationRecord>, StoreError> {
        let rows: Vec<Row> = read!(self, "list the operations", async |connection| {
            let mut query = operations::table
                .select(Row::as_select())
                .order(operations::id.desc())
                .into_boxed();
            if let Some(owner) = filter.owner {
                query = query
                    .filter(operations::owner_kind.eq(owner.kind().as_str()))
                    .filter(operations::owner_id.eq(owner.id().to_owned()));
            }
            if let Some(limit) = filter.limit {
                query = query.limit(limit.into());
            }
            Ok(query.load(connection).await?)
        })?;
        Ok(rows.into_iter().map(Row::into_record).collect())
    }
}

/// A row just as it is stored: nothing is checked yet, so that a broken one can be named.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operations)]
struct Row {
    id: i64,
    action: String,
    workload: String,
    owner_kind: Option<String>,
    owner_id: Option<String>,
    name: Option<String>,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    local_user: String,
    holder: String,
    began_at: Moment,
    ended_at: Option<Moment>,
    outcome: Option<String>,
    result: Option<String>,
    error: Option<String>,
}

impl Row {
    fn into_record(self) -> Result<OperationRecord, StoreError> {
        let at = RowAt {
            table: "operations",
            id: self.id,
        };
        let owner = match (self.owner_kind, self.owner_id) {
            (Some(kind), Some(id)) => {
                let kind: OwnerKind = at.read("owner_kind", kind.parse())?;
                Some(at.read("owner_id", Owner::new(kind, &id))?)
            }
            _ => None,
        };
        let outcome = self.outcome.map(|outcome| outcome.parse()).transpose();
        let ended_at = self.ended_at.as_ref();
        Ok(OperationRecord {
            id: self.id,
            operation: at.read("action", self.action.parse())?,
            workload: Workload {
                kind: at.read("workload", self.workload.parse())?,
                owner,
                name: self.name,
            },
            ssh: at.ssh(&self.ssh_host, self.ssh_port, &self.ssh_user)?,
            local_user: self.local_user,
            holder: Holder::from_text(&self.holder),
            began_at: at.moment("began_at", &self.began_at)?,
            ended_at: ended_at
                .map(|moment| at.moment("ended_at", moment))
                .transpose()?,
            outcome: at.read("outcome", outcome)?,
            result: self.result,
            error: self.error,
        })
    }
}

/// The row of an operation that begins.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = operations)]
struct NewRow {
    cluster_id: i64,
    action: &'static str,
    workload: &'static str,
    owner_kind: Option<&'static str>,
    owner_id: Option<String>,
    name: Option<String>,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    local_user: String,
    holder: String,
    began_at: NaiveDateTime,
}

impl NewRow {
    fn new(cluster: ClusterId, new: NewOperation, holder: &Holder) -> Self {
        let owner = new.workload.owner.as_ref();
        Self {
            cluster_id: cluster.0,
            action: new.operation.into(),
            workload: new.workload.kind.into(),
            owner_kind: owner.map(|owner| owner.kind().as_str()),
            owner_id: owner.map(|owner| owner.id().to_owned()),
            name: new.workload.name.clone(),
            ssh_host: new.ssh.host,
            ssh_port: new.ssh.port.into(),
            ssh_user: new.ssh.user,
            local_user: new.local_user,
            holder: holder.to_text(),
            began_at: NaiveDateTime::default(),
        }
    }

    fn at(mut self, now: DateTime<Utc>) -> Self {
        self.began_at = storable(now);
        self
    }
}
