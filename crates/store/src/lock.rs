//! Leases by name: on a deployment, a host name, or whatever else one process at a time may change.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    ClusterId, Holder, LeaseInfo, Store, StoreError,
    cell::{Moment, RowAt},
    changed::storable,
    claim::{ATTEMPTS, end},
    fault::Fault,
    pools::{Clock, write},
    schema::leases,
};

/// A lease on a name that was taken by [`Store::lock`] or [`Store::claim_deployment`].
///
/// As a pod's [`Lease`](super::Lease) it stays its holder's until it is given back, or until it has
/// run out *and* somebody else has taken it over; and it does not renew or release itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub(super) cluster: ClusterId,
    pub(super) name: String,
    number: i64,
    info: LeaseInfo,
    taken_over_from: Option<LeaseInfo>,
}

impl Lock {
    /// What is leased, as it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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

/// What came of asking for a lease by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Locked {
    /// The lease is the caller's.
    Taken(Lock),
    /// The lease is somebody else's, who has not given it back and whose time is not up.
    Held(LeaseInfo),
}

impl Store {
    /// Takes the lease of this name, which messages show. Those of deployments are
    /// [`Store::claim_deployment`]'s to take.
    ///
    /// The lease holds for `ttl`, unless it is [renewed](Store::renew_lock) or
    /// [given back](Store::unlock) before. A lease whose time is up is taken over, and so is one whose
    /// holder is [known to be dead](Holder::life).
    ///
    /// # Errors
    /// When the database can't be asked. A lease that is somebody else's is no error but
    /// [`Locked::Held`].
    pub async fn lock(
        &self,
        name: &str,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Locked, StoreError> {
        let (name, holder) = (name.to_owned(), holder.clone());
        let cluster = self.cluster.unwrap_or(ClusterId::NONE);
        write!(self, "take a lease", async |connection| {
            connection.take(cluster, &name, &holder, ttl).await
        })
    }

    /// Makes the lease hold for `ttl` from now on. `false` says that it is lost: somebody has taken
    /// it over, or it was given back.
    ///
    /// A lease whose time is up can be renewed as long as nobody has taken it over.
    ///
    /// # Errors
    /// When the database can't be asked; the lease may still be held then.
    pub async fn renew_lock(&self, lock: &Lock, ttl: Duration) -> Result<bool, StoreError> {
        let number = lock.number;
        let renewed: usize = write!(self, "renew a lease", async |connection| {
            let now = connection.now().await?;
            let renewed = diesel::update(leases::table.find(number))
                .set(leases::until.eq(storable(end(now, ttl))))
                .execute(connection)
                .await?;
            Ok(renewed)
        })?;
        Ok(renewed == 1)
    }

    /// Gives the lease back. One that is lost already stays lost, which is no error.
    ///
    /// # Errors
    /// When the database can't be asked; the lease then runs out by itself.
    pub async fn unlock(&self, lock: &Lock) -> Result<(), StoreError> {
        let lock = lock.clone();
        write!(self, "give a lease back", async |connection| {
            connection.give_back(&lock).await
        })
    }
}

/// What a transaction does with leases. A body that writes under a lease takes or holds it first:
/// were rows locked in another order, two bodies could wait for each other.
pub(super) trait Leases {
    /// Takes the lease, unless it is somebody else's.
    async fn take(
        &mut self,
        cluster: ClusterId,
        name: &str,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Locked, Fault>;

    /// Makes sure of the lease until the transaction's end: nobody can take it over before.
    /// Returns who holds it and until when, or [`StoreError::LockLost`].
    async fn hold(&mut self, lock: &Lock) -> Result<LeaseInfo, Fault>;

    /// Gives the lease back, if it is still held.
    async fn give_back(&mut self, lock: &Lock) -> Result<(), Fault>;
}

macro_rules! leases_on {
    ($connection:ty) => {
        impl Leases for $connection {
            async fn take(
                &mut self,
                cluster: ClusterId,
                name: &str,
                holder: &Holder,
                ttl: Duration,
            ) -> Result<Locked, Fault> {
                let mut taken_over_from = None;
                for _ in 0..ATTEMPTS {
                    // Writing a column to itself locks the row in both databases.
                    let found: Option<LeaseRow> = diesel::update(leases::table)
                        .filter(leases::name.eq(name))
                        .filter(leases::cluster_id.eq(cluster.0))
                        .set(leases::name.eq(leases::name))
                        .returning(LeaseRow::as_returning())
                        .get_result(self)
                        .await
                        .optional()?;
                    let now = self.now().await?;
                    if let Some(row) = found {
                        let before = row.info()?;
                        if before.is_held(now) {
                            return Ok(Locked::Held(before));
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
                            leases::name.eq(name),
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
                        return Ok(Locked::Taken(Lock {
                            cluster,
                            number: row.id,
                            info: row.info()?,
                            name: row.name,
                            taken_over_from,
                        }));
                    }
                }
                Err(Fault::Store(StoreError::Query {
                    act: "take a lease",
                    source: "others take it and give it back again and again".into(),
                }))
            }

            async fn hold(&mut self, lock: &Lock) -> Result<LeaseInfo, Fault> {
                let held: Option<LeaseRow> = diesel::update(leases::table.find(lock.number))
                    .set(leases::name.eq(leases::name))
                    .returning(LeaseRow::as_returning())
                    .get_result(self)
                    .await
                    .optional()?;
                if let Some(row) = held {
                    return Ok(row.info()?);
                }
                let now: Option<LeaseRow> = leases::table
                    .filter(leases::name.eq(&lock.name))
                    .filter(leases::cluster_id.eq(lock.cluster.0))
                    .select(LeaseRow::as_select())
                    .first(self)
                    .await
                    .optional()?;
                Err(Fault::Store(StoreError::LockLost {
                    name: lock.name.clone(),
                    by: now.map(|row| row.info()).transpose()?,
                }))
            }

            async fn give_back(&mut self, lock: &Lock) -> Result<(), Fault> {
                diesel::delete(leases::table.find(lock.number))
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
    name: String,
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
        at.lease(&self.holder, ("since", &self.since), ("until", &self.until))
    }
}
