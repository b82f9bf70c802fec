//! A berth for every project on a Kubernetes cluster that is reached by SSH and `kubectl` alone.
//!
//! Many teams reach their cluster in one way only: SSH to a host on which `kubectl` works. Given that
//! host and a key, berth makes a pod for a project or a conversation, runs commands in it, and deletes
//! it again. No API server is exposed, and nothing is installed on the host.
//!
//! What it holds to:
//! - **No result is a guess.** The exit code of a command in a pod is data; a lost link, a pod that is
//!   gone, a program that could not start, and a time limit are errors of their own. Without proof of
//!   a command's end there is no success.
//! - **User text never meets the host's shell**, whatever the login shell is; nor does it become YAML.
//! - **Secrets stay secret**: keys are masked and zeroised, values travel on stdin alone.
//! - **A pod that can't start says why within seconds**, with its exit code and last log lines.
//!
//! # For a backend
//!
//! Three functions, with settings from the environment or a `.env` file ([`config`] lists them):
//!
//! ```no_run
//! use berth::{ExecuteRequest, ManageRequest, delete_pod, domain::Owner, execute_in_pod, manage_pod};
//!
//! # async fn example() -> Result<(), berth::Error> {
//! let pod = manage_pod(
//!     ManageRequest::project("my-project-123")?
//!         .image("busybox:latest")?
//!         .memory_limit("200Mi")?,
//! )
//! .await?;
//! println!("{:?}", pod.record.service.access_url);
//!
//! let listing = execute_in_pod(ExecuteRequest::project("my-project-123", ["ls", "-la"])?).await?;
//! if listing.exit_code == 0 {
//!     println!("{}", listing.stdout.to_text());
//! }
//!
//! delete_pod(&Owner::project("my-project-123")?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # With more than one cluster, or settings of your own
//!
//! A [`PodManager`] is the same three operations and more, on one cluster and one database. It is cheap
//! to clone, and any number of its calls may go on at once over its one SSH connection:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use berth::{Error, ExecuteRequest, ManageRequest, PodManager, cluster::ExecError, config::Config};
//!
//! # async fn example(settings: std::collections::HashMap<String, String>) -> Result<(), Error> {
//! let config = Config::from_vars(|name| settings.get(name).cloned())?;
//! let manager = PodManager::open(&config).await?;
//! match manager.manage(ManageRequest::project("shop")?).await {
//!     Ok(pod) => println!("{}: {}", pod.action, pod.record.status),
//!     Err(Error::PodFailed { diagnosis, .. }) => println!("{diagnosis}; {}", diagnosis.cause.hint()),
//!     Err(error) => return Err(error),
//! }
//! let build = ExecuteRequest::shell_in_project("shop", "make -C /workspace 2>&1")?
//!     .time_limit(Duration::from_secs(300));
//! match manager.execute(build).await {
//!     Ok(output) => println!("make ended with {}", output.exit_code),
//!     Err(Error::Exec(ExecError::LinkLost { partial, .. })) => {
//!         println!("nobody knows how it ended; it had said {}", partial.stdout.to_text());
//!     }
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Errors are folded into one [`Error`]; its [`kind`](Error::kind) is what an HTTP status or an exit code
//! is chosen by, its [`hint`](Error::hint) what a person can do.
//!
//! # The layers
//!
//! Imports run strictly downward.
//!
//! | room | what for |
//! |---|---|
//! | [`cli`] | the program `berth` |
//! | [`deployments`] | a project's images: deploy, roll back, list, stop; and its secrets |
//! | [`pods`] | the operations: manage, execute, delete, status, logs |
//! | [`ingress`] | how deployments are reached from outside: names, groups, the way to an answer |
//! | [`builds`] | an image built in the cluster and pushed, its digest the truth |
//! | [`registry`] | the digest that a tag has at its registry now |
//! | [`setup`] | what is set up once: where images are built, the host's kubeconfig |
//! | [`site`] | one cluster with its records and templates, shared by all managers |
//! | [`manifest`] | templates to checked manifests |
//! | [`context`] | from a folder to the bytes that an image is built from |
//! | [`config`] | settings, all bad ones reported at once |
//!
//! Below them are crates of their own, so that cargo holds the layers:
//!
//! | crate | what for |
//! |---|---|
//! | [`cluster`] (`berth-kube`) | requests to a cluster, the backend [`cluster::kubectl`], the diagnosis of pods |
//! | [`ssh`] (`berth-ssh`) | the connection: keys, host trust, channels, quoting; no Kubernetes |
//! | [`store`] (`berth-store`) | records in SQLite or Postgres, leases |
//! | [`domain`] (`berth-core`) | values checked when they are made, secrets that mask themselves |

pub mod builds;
pub mod cli;
pub mod config;
pub mod context;
pub mod deployments;
mod error;
pub mod ingress;
pub mod manifest;
pub mod pods;
pub mod registry;
pub mod setup;
pub mod site;

use berth_core::files;
pub use berth_core::{self as domain, secret, tls};
pub use berth_kube as cluster;
pub use berth_ssh as ssh;
pub use berth_store as store;
pub use builds::{BuildManager, BuildRequest};
pub use deployments::{DeployRequest, DeploymentManager};
pub use error::{Error, Kind, Rollback};
pub use ingress::IngressManager;
pub use pods::{ExecuteRequest, ManageRequest, PodManager, delete_pod, execute_in_pod, manage_pod};
