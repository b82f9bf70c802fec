//! An image is built in the cluster and pushed; its digest is the truth.
//!
//! A build is a Job in a namespace of its own, the only place that has the registry's credentials. A
//! folder is packed here and travels as an immutable `ConfigMap`, or, when it is larger than one holds,
//! as a stream into the waiting pod; a git repository is fetched by the pod. A build has succeeded only
//! when its container ended with 0 and left the digest of what was pushed.
//!
//! The build does not need berth: it goes on when this process ends, and
//! [`attach`](BuildManager::attach) picks it up. This room speaks to the cluster by
//! [`Client`](crate::cluster::Client) alone.

mod assess;
mod attach;
mod built;
mod dry_run;
mod executor;
mod follow;
mod list;
mod logs;
mod manager;
mod packing;
mod plan;
mod prune;
mod registry_ca;
mod repository;
mod request;
mod run;
mod upload;

pub use self::{
    built::{Built, Cancelled},
    dry_run::BuildDryRun,
    follow::CacheUse,
    logs::LogSink,
    manager::BuildManager,
    prune::{KEEP_UNUSED, Pruned},
    request::{BuildRequest, BuildSource},
};
