//! Taking, keeping and giving back the lease on an owner's record.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{
    Claim, Holder, Lease, LeaseInfo, NewPod, Store, StoreError,
    changed::{NewRow, storable},
    fault::Fault,
    pools::{Clock, write},
    row::Row,
    schema::pods,
};
use berth_core::Owner;

/// The longest lease; a longer one is this long.
const LONGEST: TimeDelta = TimeDelta::days(365);
/// How often a row is made before it is given up: each time, somebody else has deleted it since.
pub(super) const ATTEMPTS: u32 = 5;

impl Store {
    /// Takes the lease on the owner's record, and makes the record when there is none. Both happen
    /// in one transaction; `new` is used only when there is no record.
    ///
    /// The lease holds for `ttl`, unless it is [renewed](Store::renew) or
    /// [released](Store::release) before. A lease whose time is up is taken over, and so is one whose
    /// holder is [known to be dead](Holder::life).
    ///
    /// # Errors
    /// When the database can't be asked, or the record can't be read. A lease that is somebody
    /// else's is no error but [`Claim::Held`].
    pub async fn claim(
        &self,
        owner: &Owner,
        new: &NewPod,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Claim, StoreError> {
        let cluster = self.cluster_for(&new.ssh).await?;
        let row = NewRow::new(cluster, owner, new)?;
        let this = self.in_cluster(cluster);
        let claimed = this.take(owner, Some(row), holder, ttl).await?;
        claimed.ok_or_else(|| StoreError::Query {
            act: "claim the pod",
            source: "its record is deleted again and again, or its namespace is not its own".into(),
        })
    }

    /// Takes the lease on the owner's record if there is one, as [`Store::claim`] does.
    ///
    /// # Errors
    /// As [`Store::claim`].
    pub async fn find_and_lease(
        &self,
        owner: &Owner,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        self.take(owner, None, holder, ttl).await
    }

    async fn take(
        &self,
        owner: &Owner,
        new: Option<NewRow>,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let (owner, holder, clusters) = (owner.clone(), holder.clone(), self.clusters());
        write!(self, "claim the pod", async |connection| {
            let now = connection.now().await?;
            let mut found: Option<Row> = None;
            for _ in 0..ATTEMPTS {
                // Writing a column to itself locks the row in both databases.
                found = diesel::update(pods::table)
                    .filter(is_of(
                        clusters,
                        owner.kind().as_str(),
                        owner.id().to_owned(),
                    ))
                    .set(pods::owner_id.eq(pods::owner_id))
                    .returning(Row::as_returning())
                    .get_result(connection)
                    .await
                    .optional()?;
                let (None, Some(new)) = (&found, &new) else {
                    break;
                };
                // Without a target, so that a claim of the same owner at the same time is no
                // conflict in the namespace either. It is waited for, and then found.
                diesel::insert_into(pods::table)
                    .values(new.clone().at(now))
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
            }
            let Some(row) = found else {
                return Ok(None);
            };
            let before = row.lease()?;
            if let Some(by) = before.clone().filter(|lease| lease.is_held(now)) {
                let record = row.into_record()?;
                return Ok(Some(Claim::Held { record, by }));
            }
            let existed = row.lease_number > 0;
            let row: Row = diesel::update(pods::table.find(row.id))
                .set((
                    pods::lease_number.eq(row.lease_number + 1),
                    pods::lease_holder.eq(holder.to_text()),
                    pods::lease_since.eq(storable(now)),
                    pods::lease_until.eq(storable(end(now, ttl))),
                    owner
                        .conversation_id()
                        .map(|id| pods::conversation_id.eq(id)),
                ))
                .returning(Row::as_returning())
                .get_result(connection)
                .await?;
            taken(&owner, row, existed, before).map(Some)
        })
    }

    /// Makes the lease hold for `ttl` from now on. `false` says that it is lost: somebody has taken
    /// it over, it was released, or the record is gone.
    ///
    /// A lease whose time is up can be renewed as long as nobody has taken it over.
    ///
    /// # Errors
    /// When the database can't be asked; the lease may still be held then.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let (record, number) = (lease.record, lease.number);
        let renewed: usize = write!(self, "renew the lease", async |connection| {
            let now = connection.now().await?;
            let renewed = diesel::update(pods::table)
                .filter(is_leased(record, number))
                .set(pods::lease_until.eq(storable(end(now, ttl))))
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
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let (record, number) = (lease.record, lease.number);
        write!(self, "release the lease", async |connection| {
            diesel::update(pods::table)
                .filter(is_leased(record, number))
                .set((
                    pods::lease_holder.eq(None::<&str>),
                    pods::lease_since.eq(None::<chrono::NaiveDateTime>),
                    pods::lease_until.eq(None::<chrono::NaiveDateTime>),
                ))
                .execute(connection)
                .await?;
            Ok(())
        })
    }
}

fn taken(
    owner: &Owner,
    row: Row,
    existed: bool,
    taken_over_from: Option<LeaseInfo>,
) -> Result<Claim, Fault> {
    let number = row.lease_number;
    let record = row.into_record()?;
    let info = record.lease.clone().ok_or_else(|| StoreError::Unreadable {
        table: "pods",
        row: record.id,
        column: "lease_holder",
        source: "it was written and is not there".into(),
    })?;
    let lease = Lease {
        owner: owner.clone(),
        record: record.id,
        number,
        info,
    };
    Ok(Claim::Taken {
        record,
        lease,
        existed,
        taken_over_from,
    })
}

/// When a lease runs out that was taken now.
pub(super) fn end(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(ttl).unwrap_or(LONGEST).min(LONGEST)
}

/// The owner's row in clusters with numbers from the first to the second.
#[diesel::dsl::auto_type]
pub(super) fn is_of(clusters: (i64, i64), kind: &'static str, id: String) -> _ {
    let (first, last): (i64, i64) = clusters;
    pods::owner_kind
        .eq(kind)
        .and(pods::owner_id.eq(id))
        .and(pods::cluster_id.between(first, last))
}

/// The row, if the lease with this number is still on it.
#[diesel::dsl::auto_type]
pub(super) fn is_leased(record: i64, number: i64) -> _ {
    pods::id
        .eq(record)
        .and(pods::lease_number.eq(number))
        .and(pods::lease_holder.is_not_null())
}
