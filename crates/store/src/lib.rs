//! Records: what berth remembers of pods, builds and deployments, in SQLite or in Postgres.
//!
//! The cluster is the truth and a record is a memory of it. Leases keep two processes from acting on
//! one thing at a time, and a write under a lease is refused once the lease is lost:
//!
//! - An owner has one [pod](PodRecord), and [deployments](DeploymentRecord) by name.
//! - A [`Lease`] is on any [workload](berth_core::Workload) of a cluster, [with](Store::claim) or
//!   [without](Store::lease) a record of it.
//! - A [build](BuildRecord) needs no lease: it begins once, and the first end that is seen stays.
//! - Each [operation](OperationRecord) that changes a cluster is recorded with its begin and its end.
//!
//! Every query is written once and runs on both databases, which hold the same tables
//! (`migrations/`). A row that can't be read is named by the one that asks for it, and stands beside
//! the others in a [list](Listed).
//!
//! Without the feature `sqlite`, which is on by default, there is Postgres alone, and the URL of an
//! SQLite file is refused.
//!
//! This crate knows nothing of clusters, SSH or front doors, and never stores a secret. diesel is
//! used here and nowhere else: its types are not in the public face.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use berth_core::{Image, Owner, PodStatus, Resources};
//! use berth_store::{
//!     Claim, DatabaseUrl, Holder, NewPod, PodChanges, SshPlace, Store, StoreError,
//! };
//!
//! # async fn example(image: Image, resources: Resources) -> Result<(), Box<dyn std::error::Error>> {
//! let url: DatabaseUrl = "sqlite:///var/lib/berth/berth.sqlite3".parse()?;
//! let store = Store::open(&url).await?;
//!
//! let owner = Owner::project("shop")?;
//! let ssh = SshPlace { host: "bastion".into(), port: 22, user: "ops".into() };
//! let new = NewPod { image, resources, ssh };
//! let holder = Holder::this_process();
//! match store.claim(&owner, &new, &holder, Duration::from_secs(60)).await? {
//!     Claim::Taken(lease, _) => {
//!         // … make the pod, renewing the lease now and then …
//!         store.save(&lease, PodChanges::new().status(PodStatus::Running)).await?;
//!         store.release(&lease).await?;
//!     }
//!     Claim::Held(by) => println!("{owner} is being changed by {by}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A deployment, and the end of the build that it waits for:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use berth_core::{BuildId, DeploymentStatus, Digest, Owner};
//! use berth_store::{
//!     BuildEnd, Claim, DeploymentChanges, Holder, NewDeployment, Store,
//! };
//!
//! # async fn example(
//! #     store: Store, build: BuildId, digest: Digest, new: NewDeployment,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let built = store.end_build(&build, BuildEnd::Succeeded(digest.clone())).await?.record;
//! let owner = Owner::project("shop")?;
//! let (holder, ttl) = (Holder::this_process(), Duration::from_secs(60));
//! match store.claim_deployment(&owner, &"api".parse()?, &new, &holder, ttl).await? {
//!     Claim::Taken(lease, _) => {
//!         // … roll it out, renewing the lease now and then …
//!         let changes = DeploymentChanges::new()
//!             .image(&built.image.at(&digest)?)
//!             .status(DeploymentStatus::Running);
//!         store.save_deployment(&lease, changes).await?;
//!         store.release(&lease).await?;
//!     }
//!     Claim::Held(by) => println!("it is being deployed by {by}"),
//! }
//! # Ok(())
//! # }
//! ```

mod builds;
mod cell;
mod clusters;
mod deployments;
mod error;
mod fault;
mod holder;
mod lease;
mod listed;
mod migrations;
mod operations;
mod pods;
mod pools;
mod postgres;
mod records;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod url;

use std::{fmt, sync::Arc};

#[cfg(feature = "sqlite")]
use self::sqlite::Sqlite;
pub use self::url::DatabaseUrl;
use self::url::Place;
pub use self::{
    builds::{BuildEnd, BuildFilter, BuildRecord, EndedBuild, NewBuild},
    clusters::{Bound, ClusterAddress, ClusterId},
    deployments::{DeploymentChanges, DeploymentFilter, DeploymentRecord, NewDeployment},
    error::StoreError,
    holder::{Holder, Life},
    lease::{Claim, Lease, LeaseInfo},
    listed::Listed,
    operations::{NewOperation, OperationEnd, OperationFilter, OperationRecord},
    pods::{NewPod, PodChanges, PodFilter, PodRecord},
    records::{Claimed, RecordFilter, SshPlace},
};
use self::{pools::Pools, postgres::Postgres};

/// The records. Clones share one pool of connections.
///
/// Once an operation has started it runs to its end, even when its future is dropped: what it
/// writes is written whole or not at all. All of them need a tokio runtime.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    database: Arc<str>,
    /// Whose records are read and made; all clusters' when none is known.
    cluster: Option<ClusterId>,
}

impl Store {
    /// Opens the database and brings its tables up to date. Any number of processes may do so at
    /// the same time.
    ///
    /// An SQLite file that does not exist is created when its folder exists, or when it is the
    /// one [in the user's data folder](DatabaseUrl::in_user_data).
    ///
    /// # Errors
    /// Each thing that can be wrong with a database has its own [`StoreError`], up to
    /// [`StoreError::Newer`] when another version of berth has migrated it further. Nothing is
    /// written then.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let database: Arc<str> = url.to_string().into();
        let pools = match url.place() {
            #[cfg(feature = "sqlite")]
            Place::Sqlite { path, make_folder } => {
                Pools::Sqlite(Sqlite::open(path, *make_folder, &database).await?)
            }
            Place::Postgres(config) => Pools::Postgres(Postgres::open(config, &database).await?),
        };
        Ok(Self {
            pools,
            database,
            cluster: None,
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.database)
    }
}
