//! A project's images as deployments: rolled out, brought back, listed, stopped; and its secrets.
//!
//! The cluster is the truth and a record a memory. Whatever changes a deployment holds its lease, so
//! that two never do at once. Pods of a release are told from older ones by its mark; only they decide
//! whether it is rolled out. This room speaks to the cluster by
//! [`Client`](crate::cluster::Client) alone and knows no command line, no SQL and no template.

mod build;
mod deploy;
mod dry_run;
mod failure;
mod foreign;
mod instances;
mod manager;
mod request;
mod restart;
mod revisions;
mod rollback;
mod rollout;
mod scene;
mod secrets;
mod seen;
mod stop;
mod target;
mod tidy;
mod wait;
mod work;

pub(crate) use self::manager::Settings;
pub use self::{
    build::BuiltAndDeployed,
    deploy::{DeployAction, Deployed},
    dry_run::{dry_run, dry_run_with_build},
    instances::{DeploymentInstance, Instances, PodInstance},
    manager::DeploymentManager,
    request::DeployRequest,
    revisions::Revision,
    secrets::{ProjectSecret, SecretManager, SecretName, SecretSet, SecretUnset},
    stop::{Stopped, StoppedPod},
    target::Target,
};
