//! What is the same for the records of all kinds of workloads: each is read with the lease on its
//! workload, and written under that lease alone.

use std::fmt;

use serde::Serialize;

use super::{Listed, StoreError};
use berth_core::{Owner, OwnerKind, Workload};

/// The host that is reached by SSH and on which `kubectl` runs. Never a key or a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshPlace {
    /// Host name or address.
    pub host: String,
    /// The SSH server's port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
}

/// `host:port`
impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A record whose lease was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed<R> {
    /// The record, with the lease on it.
    pub record: R,
    /// Whether there was a record before.
    pub existed: bool,
}

/// Which records a list returns; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFilter<S> {
    /// Only those of workloads of this owner.
    pub owner: Option<Owner>,
    /// Only those of workloads that were last seen in this state.
    pub status: Option<S>,
}

impl<S> Default for RecordFilter<S> {
    fn default() -> Self {
        Self {
            owner: None,
            status: None,
        }
    }
}

/// A change to what may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Change<T> {
    #[default]
    Keep,
    To(Option<T>),
}

impl<T> Change<T> {
    /// The column's new content: `None` leaves it alone, `Some(None)` empties it.
    #[expect(
        clippy::option_option,
        reason = "this is how diesel tells the two apart"
    )]
    pub(super) fn column<C, E>(
        self,
        write: impl FnOnce(T) -> Result<C, E>,
    ) -> Result<Option<Option<C>>, E> {
        match self {
            Self::Keep => Ok(None),
            Self::To(value) => value.map(write).transpose().map(Some),
        }
    }
}

/// Sorts a list by its owners' kinds and ids and by names. Not by the database: Postgres' order depends
/// on its locale.
pub(super) fn sort<R>(listed: &mut Listed<R>, workload: impl Fn(&R) -> Workload) {
    let key = |record: &R| -> (Option<(OwnerKind, String)>, Option<String>) {
        let Workload { owner, name, .. } = workload(record);
        (owner.map(|it| (it.kind(), it.id().to_owned())), name)
    };
    listed.records.sort_by_cached_key(key);
}

pub(super) fn none_of(workload: &Workload) -> StoreError {
    StoreError::NotFound {
        workload: workload.clone(),
    }
}

/// The rows of a table that are of this workload, in clusters with numbers from the first to the second.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) clusters: (i64, i64),
}

impl Key {
    pub(super) fn new(workload: &Workload, clusters: (i64, i64)) -> Self {
        let owner = workload.owner.as_ref();
        Self {
            name: workload.key(),
            kind: owner.map_or("", |it| it.kind().as_str()),
            id: owner.map(|it| it.id().to_owned()).unwrap_or_default(),
            clusters,
        }
    }
}

/// Makes the methods that read and write one table of records: a table has no type that a function
/// could be generic over. `Row`, `NewRow` and `ChangedRow` are those of the module that calls it.
macro_rules! records {
    (
        $table:ident, $what:literal, $record:ty, $new:ty, $changes:ty, $filter:ty,
        ($($key:ident: $key_type:ty),+) => $workload:expr,
        $claim:ident, $get:ident, $find:ident, $list:ident, $save:ident, $refresh:ident, $delete:ident
    ) => {
        /// A row and the lease on it.
        type Found = (Row, Option<LeaseRow>);

        fn into_record((row, lease): Found) -> Result<$record, StoreError> {
            let lease = lease.map(|lease| lease.info()).transpose()?;
            row.into_record(lease)
        }

        /// Each record with the lease on it.
        #[diesel::dsl::auto_type]
        fn with_lease() -> _ {
            $table::table.left_join(
                leases::table.on(leases::name
                    .eq($table::lock_name)
                    .and(leases::cluster_id.eq($table::cluster_id))),
            )
        }

        #[diesel::dsl::auto_type]
        fn is_of(key: &Key) -> _ {
            let (name, kind, id): (String, &'static str, String) =
                (key.name.clone(), key.kind, key.id.clone());
            let (first, last): (i64, i64) = key.clusters;
            $table::lock_name
                .eq(name)
                .and($table::owner_kind.eq(kind))
                .and($table::owner_id.eq(id))
                .and($table::cluster_id.between(first, last))
        }

        /// The row of the workload that is leased.
        #[diesel::dsl::auto_type]
        fn is_leased(lease: &Lease) -> _ {
            let name: String = lease.workload.key();
            let cluster: i64 = lease.cluster.0;
            $table::lock_name.eq(name).and($table::cluster_id.eq(cluster))
        }

        impl Store {
            #[doc = concat!("Takes the lease on the ", $what, ", and makes its record when there is none.")]
            /// Both happen in one transaction; `new` is used only when there is no record.
            ///
            /// The lease holds for `ttl`, unless it is [renewed](Store::renew) or
            /// [released](Store::release) before. A lease whose time is up is taken over, and so is one
            /// whose holder is [known to be dead](Holder::life).
            ///
            /// # Errors
            /// When the database can't be asked, or the record can't be read. A lease that another process
            /// holds is no error but [`Claim::Held`].
            pub async fn $claim(
                &self,
                $($key: $key_type,)+
                new: &$new,
                holder: &Holder,
                ttl: Duration,
            ) -> Result<Claim<Claimed<$record>>, StoreError> {
                let cluster = self.cluster_for(&new.ssh).await?;
                let (workload, holder) = ($workload, holder.clone());
                let key = Key::new(&workload, (cluster.0, cluster.0));
                let new = NewRow::new(cluster, &workload, $($key,)+ new)?;
                write!(self, concat!("claim the ", $what), async |connection| {
                    let lease = match connection.take(cluster, &workload, &holder, ttl).await? {
                        Claim::Taken(lease, ()) => lease,
                        Claim::Held(by) => return Ok(Claim::Held(by)),
                    };
                    let found = diesel::update($table::table)
                        .filter(is_of(&key))
                        .set(new.claimed())
                        .returning(Row::as_returning())
                        .get_result(connection)
                        .await
                        .optional()?;
                    let existed = found.is_some();
                    let row: Row = match found {
                        Some(row) => row,
                        None => {
                            let now = connection.now().await?;
                            diesel::insert_into($table::table)
                                .values(new.at(now))
                                .returning(Row::as_returning())
                                .get_result(connection)
                                .await?
                        }
                    };
                    let record = row.into_record(Some(lease.info.clone()))?;
                    Ok(Claim::Taken(lease, Claimed { record, existed }))
                })
            }

            #[doc = concat!("Returns the record of the ", $what, ".")]
            ///
            /// # Errors
            /// [`StoreError::NotFound`] when there is no record; others when it can't be read or the
            /// database can't be asked.
            pub async fn $get(&self, $($key: $key_type),+) -> Result<$record, StoreError> {
                let found = self.$find($($key),+).await?;
                found.ok_or_else(|| none_of(&$workload))
            }

            #[doc = concat!("Returns the record of the ", $what, ", if there is one.")]
            ///
            /// # Errors
            /// When the record can't be read, or the database can't be asked.
            pub async fn $find(&self, $($key: $key_type),+) -> Result<Option<$record>, StoreError> {
                let key = Key::new(&$workload, self.clusters());
                let found: Option<Found> =
                    read!(self, concat!("read the record of the ", $what), async |connection| {
                        Ok(with_lease()
                            .select(Found::as_select())
                            .filter(is_of(&key))
                            .first(connection)
                            .await
                            .optional()?)
                    })?;
                found.map(into_record).transpose()
            }

            /// Returns the records that the filter lets through, in the order of their owners' kinds and
            /// ids and their names, and what is wrong with rows that can't be read.
            ///
            /// # Errors
            /// When the database can't be asked.
            pub async fn $list(&self, filter: $filter) -> Result<Listed<$record>, StoreError> {
                let (first, last) = self.clusters();
                let found: Vec<Found> =
                    read!(self, concat!("list the records of each ", $what), async |connection| {
                        let mut query = with_lease()
                            .select(Found::as_select())
                            .filter($table::cluster_id.between(first, last))
                            .order($table::id)
                            .into_boxed();
                        if let Some(owner) = filter.owner {
                            query = query
                                .filter($table::owner_kind.eq(owner.kind().as_str()))
                                .filter($table::owner_id.eq(owner.id().to_owned()));
                        }
                        if let Some(status) = filter.status {
                            query = query.filter($table::status.eq(status.as_str()));
                        }
                        Ok(query.load(connection).await?)
                    })?;
                let mut listed = found.into_iter().map(into_record).collect();
                sort(&mut listed, <$record>::workload);
                Ok(listed)
            }

            /// Writes the changes and returns the record as it is then.
            ///
            /// # Errors
            /// [`StoreError::LeaseLost`] when the lease is no longer the caller's, [`StoreError::NotFound`]
            /// when it is not on a record, and then nothing is written; others when the database can't be
            /// asked.
            pub async fn $save(
                &self,
                lease: &Lease,
                changes: $changes,
            ) -> Result<$record, StoreError> {
                let changes = ChangedRow::new(changes)?;
                let lease = lease.clone();
                write!(self, concat!("save the record of the ", $what), async |connection| {
                    let info = connection.hold(&lease).await?;
                    let now = connection.now().await?;
                    let saved: Option<Row> = diesel::update($table::table)
                        .filter(is_leased(&lease))
                        .set(changes.at(now))
                        .returning(Row::as_returning())
                        .get_result(connection)
                        .await
                        .optional()?;
                    let saved = saved.ok_or_else(|| Fault::Store(none_of(&lease.workload)))?;
                    Ok(saved.into_record(Some(info))?)
                })
            }

            /// Records what was seen by a process without a lease, and returns the record as it is then, if
            /// there is one. While another process holds the lease nothing is written: it will record what
            /// it sees.
            ///
            /// # Errors
            /// When the record can't be read, or the database can't be asked.
            pub async fn $refresh(
                &self,
                $($key: $key_type,)+
                changes: $changes,
            ) -> Result<Option<$record>, StoreError> {
                let changes = ChangedRow::new(changes)?;
                let (holder, at_once) = (Holder::this_process(), Duration::ZERO);
                let workload = $workload;
                let key = Key::new(&workload, self.clusters());
                let found: Option<(Row, Option<LeaseInfo>)> =
                    write!(self, concat!("refresh the record of the ", $what), async |connection| {
                        let found: Option<Row> = $table::table
                            .filter(is_of(&key))
                            .select(Row::as_select())
                            .first(connection)
                            .await
                            .optional()?;
                        let Some(row) = found else { return Ok(None) };
                        let cluster = ClusterId(row.cluster_id);
                        let lease = connection.look(cluster, &workload).await?;
                        let lease = lease.map(|lease| lease.info()).transpose()?;
                        let now = connection.now().await?;
                        if lease.as_ref().is_some_and(|lease| lease.is_held(now)) {
                            return Ok(Some((row, lease)));
                        }
                        // One that has run out stays its holder's. Where there is none, one is held for this
                        // transaction alone.
                        let own = match &lease {
                            Some(_) => None,
                            None => match connection.take(cluster, &workload, &holder, at_once).await? {
                                Claim::Taken(own, ()) => Some(own),
                                Claim::Held(by) => return Ok(Some((row, Some(by)))),
                            },
                        };
                        let refreshed: Option<Row> = diesel::update($table::table.find(row.id))
                            .set(changes.at(now))
                            .returning(Row::as_returning())
                            .get_result(connection)
                            .await
                            .optional()?;
                        if let Some(own) = &own {
                            connection.give_back(own).await?;
                        }
                        Ok(refreshed.map(|row| (row, lease)))
                    })?;
                found.map(|(row, lease)| row.into_record(lease)).transpose()
            }

            /// Deletes the record, and with it the lease. Returns whether there was a record.
            ///
            /// # Errors
            /// [`StoreError::LeaseLost`] when the lease is no longer the caller's, and then nothing is
            /// deleted; others when the database can't be asked.
            pub async fn $delete(&self, lease: &Lease) -> Result<bool, StoreError> {
                let lease = lease.clone();
                write!(self, concat!("delete the record of the ", $what), async |connection| {
                    connection.hold(&lease).await?;
                    let deleted = diesel::delete($table::table)
                        .filter(is_leased(&lease))
                        .execute(connection)
                        .await?;
                    connection.give_back(&lease).await?;
                    Ok(deleted > 0)
                })
            }
        }
    };
}

pub(super) use records;
