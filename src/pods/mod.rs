//! An owner's pod: made, started, changed, commanded, watched, deleted.
//!
//! The cluster is the truth and the record a memory: every operation that changes something first
//! takes the lease on the owner's pod, then looks at the cluster, and writes down what it saw.
//! This room speaks to the cluster by [`Client`](crate::cluster::Client) alone and knows no command
//! line, no SQL and no template.

mod delete;
mod dry_run;
mod execute;
mod logs;
mod manage;
mod manager;
mod observed;
mod plan;
mod ready;
mod recorded;
mod request;
mod status;

pub(crate) use self::manager::Settings;
pub(crate) use self::recorded::{forget, recorded};
pub use self::{
    delete::Deleted,
    dry_run::DryRun,
    logs::LogOptions,
    manage::{Action, Managed},
    manager::PodManager,
    request::{ExecuteRequest, ManageRequest},
    status::PodReport,
};
