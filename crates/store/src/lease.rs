//! Leases: one process at a time acts on a workload, and everybody can read which one.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;

use super::{
    ClusterId, Holder, Store, StoreError,
    cell::{Moment, RowAt, storable},
    fault::Fault,
    holder::Life,
    pools::{Clock, write},
    schema::leases,
};
use berth_core::Workload;

/// The longest lease; a longer one is this long.
const LONGEST: TimeDelta = TimeDelta::days(365);
/// How often a lease is asked for in one transaction: each time, another process has released it since.
const ATTEMPTS: u32 = 5;

/// Who holds a lease, since when, and until when it holds unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// The process that holds it.
    pub holder: Holder,
    /// When it was taken.
    pub since: DateTime<Utc>,
    /// When anybody may take it over.
    pub until: DateTime<Utc>,
}

impl LeaseInfo {
    /// Whether no other process may take it at this time: it has not run out, and its holder is not known to be
    /// dead.
    #[must_use]
    pub fn is_held(&self, now: DateTime<Utc>) -> bool {
        self.until > now && self.holder.life() != Life::Dead
    }
}

/// `host:pid/random since 2025-01-01 12:00:00 UTC`.
impl fmt::Display for LeaseInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.format("%F %T UTC");
        std::write!(f, "{} since {since}", self.holder)
    }
}

/// A lease on a workload of a cluster that was taken by [`Store::lease`] or together with a record.
///
/// It stays its holder's until it is released, or until it has run out *and* another process has taken
/// it over. It does not renew or release itself: that is for the capability that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(super) cluster: ClusterId,
    pub(super) workload: Workload,
    pub(super) info: LeaseInfo,
    number: i64,
    taken_over_from: Option<LeaseInfo>,
}

impl Lease {
    /// What is leased.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Holder and times, as they were when the lease was taken; renewing does not change them here.
    #[must_use]
    pub fn info(&self) -> &LeaseInfo {
        &self.info
    }

    /// The lease that had run out and was taken over.
    #[must_use]
    pub fn taken_over_from(&self) -> Option<&LeaseInfo> {
        self.taken_over_from.as_ref()
    }
}

/// The answer to a request for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "one for an operation, taken apart at once"
)]
pub enum Claim<R = ()> {
    /// The lease is the caller's; with what was asked for together with it.
    Taken(Lease, R),
    /// Another process holds the lease, has not released it, and its time is not up.
    Held(LeaseInfo),
}

impl Store {
    /// Takes the lease on a workload of which no record is needed, in the store's cluster.
    ///
    /// The lease holds for `ttl`, unless it is [renewed](Store::renew) or [released](Store::release)
    /// before. A lease whose time is up is taken over, and so is one whose holder is [known to be
    /// dead](Holder::life).
    ///
    /// # Errors
    /// When the database can't be asked. A lease that another process holds is no error but
    /// [`Claim::Held`].
    pub async fn lease(
        &self,
        workload: &Workload,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Claim, StoreError> {
        let (workload, holder) = (workload.clone(), holder.clone());
        let cluster = self.cluster.unwrap_or(ClusterId::NONE);
        write!(self, "take a lease", async |connection| {
            connection.take(cluster, &workload, &holder, ttl).await
        })
    }

    /// Makes the lease hold for `ttl` from now on. `false` says that it is lost: another process has
    /// taken it over, or it was released.
    ///
    /// A lease whose time is up can be renewed as long as no other process has taken it over.
    ///
    /// # Errors
    /// When the database can't be asked; the lease may still be held then.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let number = lease.number;
        let renewed: usize = write!(self, "renew a lease", async |connection| {
            let now = connection.now().await?;
            Ok(diesel::update(leases::table.find(number))
                .set(leases::until.eq(storable(end(now, ttl))))
                .execute(connection)
                .await?)
        })?;
        Ok(renewed == 1)
    }

    /// Releases the lease. One that is lost already stays lost, which is no error.
    ///
    /// # Errors
    /// When the database can't be asked; the lease then runs out by itself.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        write!(self, "release a lease", async |connection| {
            connection.give_back(&lease).await
        })
    }
}

/// When a lease runs out that was taken now.
fn end(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(ttl).unwrap_or(LONGEST).min(LONGEST)
}

/// What a transaction does with leases. A body that writes under a lease takes or holds it first:
/// were rows locked in another order, two bodies could wait for each other.
pub(super) trait Leases {
    /// Finds the lease on a workload, whether or not it has run out. No other transaction changes it
    /// before this one ends.
    async fn look(
        &mut self,
        cluster: ClusterId,
        workload: &Workload,
    ) -> Result<Option<LeaseRow>, Fault>;

    /// Takes the lease, unless another process holds it.
    async fn take(
        &mut self,
        cluster: ClusterId,
        workload: &Workload,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Claim, Fault>;

    /// Makes sure of the lease until the transaction's end: no other process can take it over before.
    /// Returns who holds it and until when, or [`StoreError::LeaseLost`].
    async fn hold(&mut self, lease: &Lease) -> Result<LeaseInfo, Fault>;

    /// Releases the lease, if it is still held.
    async fn give_back(&mut self, lease: &Lease) -> Result<(), Fault>;
}

macro_rules! leases_on {
    ($connection:ty) => {
        impl Leases for $connection {
            async fn look(
                &mut self,
                cluster: ClusterId,
                workload: &Workload,
            ) -> Result<Option<LeaseRow>, Fault> {
                // Writing a column to itself locks the row in both databases.
                Ok(diesel::update(leases::table)
                    .filter(leases::name.eq(workload.key()))
                    .filter(leases::cluster_id.eq(cluster.0))
                    .set(leases::name.eq(leases::name))
                    .returning(LeaseRow::as_returning())
                    .get_result(self)
                    .await
                    .optional()?)
            }

            async fn take(
                &mut self,
                cluster: ClusterId,
                workload: &Workload,
                holder: &Holder,
                ttl: Duration,
            ) -> Result<Claim, Fault> {
                let mut taken_over_from = None;
                for _ in 0..ATTEMPTS {
                    let found = self.look(cluster, workload).await?;
                    let now = self.now().await?;
                    if let Some(row) = found {
                        let before = row.info()?;
                        if before.is_held(now) {
                            return Ok(Claim::Held(before));
                        }
                        taken_over_from = Some(before);
                        diesel::delete(leases::table.find(row.id))
                            .execute(self)
                            .await?;
                    }
                    // Another one's at the same time is waited for, and then found.
                    let inserted: Option<LeaseRow> = diesel::insert_into(leases::table)
                        .values((
                            leases::cluster_id.eq(cluster.0),
                            leases::name.eq(workload.key()),
                            leases::holder.eq(holder.to_text()),
                            leases::since.eq(storable(now)),
                            leases::until.eq(storable(end(now, ttl))),
                        ))
                        .on_conflict_do_nothing()
                        .returning(LeaseRow::as_returning())
                        .get_result(self)
                        .await
                        .optional()?;
                    if let Some(row) = inserted {
                        let lease = Lease {
                            cluster,
                            workload: workload.clone(),
                            number: row.id,
                            info: row.info()?,
                            taken_over_from,
                        };
                        return Ok(Claim::Taken(lease, ()));
                    }
                }
                Err(Fault::Store(StoreError::Query {
                    act: "take a lease",
                    source: "others take it and release it again and again".into(),
                }))
            }

            async fn hold(&mut self, lease: &Lease) -> Result<LeaseInfo, Fault> {
                let found = self.look(lease.cluster, &lease.workload).await?;
                match &found {
                    Some(row) if row.id == lease.number => Ok(row.info()?),
                    other => Err(Fault::Store(StoreError::LeaseLost {
                        workload: lease.workload.clone(),
                        by: other.as_ref().map(LeaseRow::info).transpose()?,
                    })),
                }
            }

            async fn give_back(&mut self, lease: &Lease) -> Result<(), Fault> {
                diesel::delete(leases::table.find(lease.number))
                    .execute(self)
                    .await?;
                Ok(())
            }
        }
    };
}

#[cfg(feature = "sqlite")]
leases_on!(super::sqlite::AsyncSqliteConnection);
leases_on!(AsyncPgConnection);

/// A row of the table `leases` just as it is stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = leases)]
pub(super) struct LeaseRow {
    id: i64,
    holder: String,
    since: Moment,
    until: Moment,
}

impl LeaseRow {
    /// Who holds the lease, whether or not it has run out.
    pub(super) fn info(&self) -> Result<LeaseInfo, StoreError> {
        let at = RowAt {
            table: "leases",
            id: self.id,
        };
        Ok(LeaseInfo {
            holder: Holder::from_text(&self.holder),
            since: at.moment("since", &self.since)?,
            until: at.moment("until", &self.until)?,
        })
    }
}
