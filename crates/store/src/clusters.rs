//! The cluster that a record belongs to. A cluster that is reached by several hosts, ports or users is one.
//!
//! Nothing here asks a cluster: the caller passes its UID. Two clusters' records are never merged where they
//! have the same name; such records are named and left as they are.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;

use super::{
    SshPlace, Store, StoreError,
    fault::Fault,
    pools::{read, write},
    schema::{builds, cluster_addresses, clusters, deployments, leases, operations, pods},
};

/// A cluster in the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct ClusterId(pub(super) i64);

impl From<ClusterId> for i64 {
    fn from(cluster: ClusterId) -> Self {
        cluster.0
    }
}

impl ClusterId {
    /// Of a lease that is taken before any cluster is known.
    pub(super) const NONE: Self = Self(0);
}

/// How a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAddress {
    /// The host on which `kubectl` runs, and its user.
    pub ssh: SshPlace,
    /// What else decides which cluster kubectl talks to: its command, kubeconfig and context.
    pub kubectl: String,
}

/// A cluster that has been recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Bound {
    /// The cluster.
    pub cluster: ClusterId,
    /// What an older berth has recorded of this cluster as of another one, and could not be joined since
    /// there is a record of the same name. Both records are left as they are.
    pub collisions: Vec<String>,
}

impl Store {
    /// The same records, of this cluster alone. Without a cluster all are read, and what is recorded is of
    /// the cluster that was last reached by its [`SshPlace`].
    #[must_use]
    pub fn in_cluster(&self, cluster: ClusterId) -> Self {
        Self {
            cluster: Some(cluster),
            ..self.clone()
        }
    }

    /// The same records, of all clusters.
    #[must_use]
    pub fn in_all_clusters(&self) -> Self {
        Self {
            cluster: None,
            ..self.clone()
        }
    }

    /// The cluster whose records are read, if it is one.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// The cluster that was reached in this way before.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn find_cluster(
        &self,
        address: &ClusterAddress,
    ) -> Result<Option<ClusterId>, StoreError> {
        let address = address.clone();
        let found: Option<i64> = read!(self, "look the cluster up", async |connection| {
            Ok(cluster_addresses::table
                .filter(is_at(&address.ssh))
                .filter(cluster_addresses::kubectl.eq(&address.kubectl))
                .select(cluster_addresses::cluster_id)
                .first(connection)
                .await
                .optional()?)
        })?;
        Ok(found.map(ClusterId))
    }

    /// Records the cluster with this UID, that of its namespace `kube-system`, as reached in this way.
    /// What an older berth has recorded for the same host, port and user becomes this cluster's. Without a
    /// UID the cluster is the one of this address.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn bind_cluster(
        &self,
        address: &ClusterAddress,
        uid: Option<&str>,
    ) -> Result<Bound, StoreError> {
        let (address, uid) = (address.clone(), uid.map(str::to_owned));
        write!(self, "record the cluster", async |connection| {
            connection.bind(&address, uid.as_deref()).await
        })
    }

    /// The cluster of a new record: the store's own, or the one of this host.
    pub(super) async fn cluster_for(&self, ssh: &SshPlace) -> Result<ClusterId, StoreError> {
        if let Some(cluster) = self.cluster {
            return Ok(cluster);
        }
        let ssh = ssh.clone();
        write!(self, "record the cluster", async |connection| {
            connection.of_host(&ssh).await
        })
    }

    /// The least and the greatest number of the clusters whose records are read.
    pub(super) fn clusters(&self) -> (i64, i64) {
        self.cluster.map_or((0, i64::MAX), |ClusterId(id)| (id, id))
    }
}

/// The address of this host, port and user.
#[diesel::dsl::auto_type]
fn is_at(ssh: &SshPlace) -> _ {
    let (host, user): (String, String) = (ssh.host.clone(), ssh.user.clone());
    let port: i32 = i32::from(ssh.port);
    cluster_addresses::ssh_host
        .eq(host)
        .and(cluster_addresses::ssh_port.eq(port))
        .and(cluster_addresses::ssh_user.eq(user))
}

/// Lets no other transaction record a cluster before this one ends. One on SQLite that writes is alone.
trait Alone {
    async fn alone(&mut self) -> Result<(), Fault>;
}

#[cfg(feature = "sqlite")]
impl Alone for crate::sqlite::AsyncSqliteConnection {
    async fn alone(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Alone for AsyncPgConnection {
    async fn alone(&mut self) -> Result<(), Fault> {
        let lock = diesel::sql_query("LOCK TABLE clusters IN EXCLUSIVE MODE");
        RunQueryDsl::execute(lock, self).await?;
        Ok(())
    }
}

/// What a transaction does with clusters.
trait Clusters {
    async fn bind(&mut self, address: &ClusterAddress, uid: Option<&str>) -> Result<Bound, Fault>;

    /// The cluster that was last reached by this host; it is made when there is none.
    async fn of_host(&mut self, ssh: &SshPlace) -> Result<ClusterId, Fault>;

    async fn insert(&mut self, uid: Option<&str>) -> Result<i64, Fault>;

    async fn add_address(&mut self, address: &ClusterAddress, cluster: i64) -> Result<(), Fault>;

    /// Makes one cluster's records another's. Names those that stay, since the other has records of the
    /// same name.
    async fn join(&mut self, old: i64, into: i64) -> Result<Vec<String>, Fault>;
}

/// Makes those rows of a table another cluster's whose names it does not have, and returns the others'.
macro_rules! join_named {
    ($connection:expr, $table:ident, $name:ident, $old:expr, $into:expr) => {{
        let taken: Vec<String> = $table::table
            .filter($table::cluster_id.eq($into))
            .select($table::$name)
            .load($connection)
            .await?;
        let of_old = $table::table.filter($table::cluster_id.eq($old));
        diesel::update(of_old.filter($table::$name.ne_all(taken)))
            .set($table::cluster_id.eq($into))
            .execute($connection)
            .await?;
        of_old
            .select($table::$name)
            .load::<String>($connection)
            .await?
    }};
}

macro_rules! clusters_on {
    ($connection:ty) => {
        impl Clusters for $connection {
            async fn bind(
                &mut self,
                address: &ClusterAddress,
                uid: Option<&str>,
            ) -> Result<Bound, Fault> {
                self.alone().await?;
                let at_host: Vec<(i64, i64, String)> = cluster_addresses::table
                    .filter(is_at(&address.ssh))
                    .select((
                        cluster_addresses::id,
                        cluster_addresses::cluster_id,
                        cluster_addresses::kubectl,
                    ))
                    .load(self)
                    .await?;
                let at = |kubectl: &str| at_host.iter().find(|(.., it)| it == kubectl);
                let mut collisions = Vec::new();
                if let Some((_, cluster, _)) = at(&address.kubectl) {
                    let cluster = ClusterId(*cluster);
                    return Ok(Bound {
                        cluster,
                        collisions,
                    });
                }
                let by_uid: Option<i64> = match uid {
                    Some(uid) => clusters::table
                        .filter(clusters::uid.eq(uid))
                        .select(clusters::id)
                        .first(self)
                        .await
                        .optional()?,
                    None => None,
                };
                let old = at("").map(|(id, cluster, _)| (*id, *cluster));
                let cluster = match (by_uid, old) {
                    (None, None) => self.insert(uid).await?,
                    (Some(cluster), None) => cluster,
                    (None, Some((_, old))) => {
                        diesel::update(clusters::table.find(old))
                            .set(clusters::uid.eq(uid))
                            .execute(self)
                            .await?;
                        old
                    }
                    (Some(cluster), Some((_, old))) => {
                        collisions = self.join(old, cluster).await?;
                        cluster
                    }
                };
                if let Some((id, _)) = old {
                    diesel::delete(cluster_addresses::table.find(id))
                        .execute(self)
                        .await?;
                }
                self.add_address(address, cluster).await?;
                Ok(Bound {
                    cluster: ClusterId(cluster),
                    collisions,
                })
            }

            async fn of_host(&mut self, ssh: &SshPlace) -> Result<ClusterId, Fault> {
                for is_last in [false, true] {
                    let found: Option<i64> = cluster_addresses::table
                        .filter(is_at(ssh))
                        .order(cluster_addresses::id.desc())
                        .select(cluster_addresses::cluster_id)
                        .first(self)
                        .await
                        .optional()?;
                    if let Some(found) = found {
                        return Ok(ClusterId(found));
                    }
                    if !is_last {
                        // Another one's at the same time is waited for, and then found.
                        self.alone().await?;
                    }
                }
                let cluster = self.insert(None).await?;
                let address = ClusterAddress {
                    ssh: ssh.clone(),
                    kubectl: String::new(),
                };
                self.add_address(&address, cluster).await?;
                Ok(ClusterId(cluster))
            }

            async fn insert(&mut self, uid: Option<&str>) -> Result<i64, Fault> {
                Ok(diesel::insert_into(clusters::table)
                    .values(clusters::uid.eq(uid))
                    .returning(clusters::id)
                    .get_result(self)
                    .await?)
            }

            async fn add_address(
                &mut self,
                address: &ClusterAddress,
                cluster: i64,
            ) -> Result<(), Fault> {
                diesel::insert_into(cluster_addresses::table)
                    .values((
                        cluster_addresses::cluster_id.eq(cluster),
                        cluster_addresses::ssh_host.eq(&address.ssh.host),
                        cluster_addresses::ssh_port.eq(i32::from(address.ssh.port)),
                        cluster_addresses::ssh_user.eq(&address.ssh.user),
                        cluster_addresses::kubectl.eq(&address.kubectl),
                    ))
                    .execute(self)
                    .await?;
                Ok(())
            }

            async fn join(&mut self, old: i64, into: i64) -> Result<Vec<String>, Fault> {
                let mut collisions = join_named!(self, pods, lock_name, old, into);
                collisions.extend(join_named!(self, deployments, lock_name, old, into));
                // Where both have a lease of the same name, that of the other cluster counts.
                join_named!(self, leases, name, old, into);
                diesel::update(builds::table)
                    .filter(builds::cluster_id.eq(old))
                    .set(builds::cluster_id.eq(into))
                    .execute(self)
                    .await?;
                diesel::update(operations::table)
                    .filter(operations::cluster_id.eq(old))
                    .set(operations::cluster_id.eq(into))
                    .execute(self)
                    .await?;
                Ok(collisions)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
clusters_on!(crate::sqlite::AsyncSqliteConnection);
clusters_on!(AsyncPgConnection);
