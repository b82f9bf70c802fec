//! Runs project workloads on a Kubernetes cluster that is reached by SSH to a host with `kubectl`.
//!
//! Many teams reach their cluster in one way only: SSH to a host on which `kubectl` works. Given that
//! host and a key, berth creates a pod for a project or a conversation, runs commands in it and deletes
//! it; builds images in the cluster; and deploys them under a public host name. No API server is
//! exposed, and nothing is installed on the host.
//!
//! What it guarantees:
//! - **No result is a guess.** The exit code of a command in a pod is data; a lost connection, a pod that
//!   is gone, a program that could not start, and a time limit are errors of their own. Without proof of
//!   a command's end there is no success.
//! - **User text never reaches the host's login shell**, whatever that shell is; nor does it become YAML.
//! - **Secrets stay secret**: keys are masked and zeroed, values travel on stdin only.
//! - **A pod that can't start fails within seconds**, with its cause, exit code and last log lines.
//!
//! # Three functions
//!
//! For a backend with one cluster, [`manage_pod`], [`execute_in_pod`] and [`delete_pod`] are enough. The
//! settings come from the environment or a `.env` file ([`config`] lists them):
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
//! # One client
//!
//! The functions share one [`Berth`]: a client of one cluster and one database. A program opens its own
//! for everything else, or with settings of its own. The client is cheap to clone; any number of calls
//! may run at once over its one SSH connection, which is made when the first call needs it.
//!
//! Each capability has a manager: [`pods`](Berth::pods), [`deployments`](Berth::deployments),
//! [`builds`](Berth::builds), [`ingress`](Berth::ingress), [`secrets`](Berth::secrets) and
//! [`setup`](Berth::setup); [`history`](Berth::history) lists what was done.
//!
//! What an operation does while it runs is told as [`Event`]s: `with_events` of a manager, of the client
//! or of its [builder](Berth::builder) names who receives them.
//!
//! All errors are one [`Error`]. Its [`kind`](Error::kind) chooses an HTTP status or an exit code, its
//! [`hint`](Error::hint) says what helps; match on a variant for its details:
//!
//! ```no_run
//! use std::{collections::HashMap, time::Duration};
//!
//! use berth::{Berth, Error, ExecuteRequest, ManageRequest, cluster::ExecError, config::Config};
//!
//! # async fn example(settings: HashMap<String, String>) -> Result<(), Error> {
//! let berth = Berth::open(Config::from_vars(|name| settings.get(name).cloned())?).await?;
//! match berth.pods().manage(ManageRequest::project("shop")?).await {
//!     Ok(pod) => println!("{}: {}", pod.action, pod.record.status),
//!     Err(Error::PodFailed { diagnosis, .. }) => println!("{diagnosis}; {}", diagnosis.cause.hint()),
//!     Err(error) => return Err(error),
//! }
//! let make = ExecuteRequest::shell_in_project("shop", "make -C /workspace 2>&1")?
//!     .time_limit(Duration::from_secs(300));
//! match berth.pods().execute(make).await {
//!     Ok(output) => println!("make exited with {}", output.exit_code),
//!     Err(Error::Exec(ExecError::LinkLost { partial, .. })) => {
//!         println!("its end is not known; output so far: {}", partial.stdout.to_text());
//!     }
//!     Err(error) => return Err(error),
//! }
//! berth.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # From source to a public address
//!
//! A build runs in the cluster and ends with the digest of what was pushed. Deploying that digest returns
//! when all replicas are available. A rollout that can't get better fails at once, and the error says
//! what still serves:
//!
//! ```no_run
//! use berth::{Berth, BuildRequest, DeployRequest, Error, domain::Owner};
//!
//! # async fn example(berth: Berth) -> Result<(), Error> {
//! let build = BuildRequest::folder("shop/web", "./web")?;
//! let (shop, image) = (Owner::project("shop")?, build.image_name().clone());
//! let deploy = DeployRequest::named(shop, "web".parse()?, image)
//!     .port(8080)?
//!     .rollback_on_failure(true);
//! match berth.build_and_deploy(build, deploy).await {
//!     Ok(done) => println!("{} at {:?}", done.built.image, done.deployed.record.host),
//!     Err(Error::DeployFailed { diagnosis, serving, .. }) => println!("{diagnosis}; {serving:?}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! Both are on by default. Without `cli` there is no program, and neither clap nor indicatif is compiled.
//! Without `sqlite` the records are in Postgres only, no C sources of SQLite are compiled, and the URL
//! of an SQLite file is refused.
//!
//! # The layers
//!
//! Imports run strictly downward.
//!
//! | room | what for |
//! |---|---|
//! | `cli` | the program `berth` (feature `cli`) |
//! | [`Berth`] | the client: all managers on one cluster and one database |
//! | [`deployments`] | a project's images: deploy, roll back, list, stop, restart; and its secrets |
//! | [`pods`] | the operations: manage, execute, delete, status, logs |
//! | [`ingress`] | how deployments are reached from outside: host names, groups, the route to a response |
//! | [`builds`] | images built in the cluster and pushed |
//! | `registry` | the digest that a tag has at its registry now |
//! | [`setup`] | what is set up once: the namespace for builds, the host's kubeconfig |
//! | `engine` | the one sequence of every change: claim, observe, plan, apply, watch, record; leases, events, history, outages |
//! | [`manifest`] | templates to checked manifests |
//! | [`context`] | packs a folder into the bytes that an image is built from |
//! | [`config`] | settings, all bad ones reported at once |
//!
//! Below them are crates of their own, so that cargo holds the layers:
//!
//! | crate | what for |
//! |---|---|
//! | [`cluster`] (`berth-kube`) | [`cluster::Client`], a client for any kind of object; its backend [`cluster::kubectl`]; the diagnosis of pods |
//! | [`ssh`] (`berth-ssh`) | the connection: keys, host trust, channels, quoting; no Kubernetes |
//! | [`store`] (`berth-store`) | records in SQLite or Postgres, leases |
//! | [`domain`] (`berth-core`) | values checked when they are made, secrets that mask themselves |
//! | `berth-objects` | Kubernetes objects in memory, for the sandbox's API server and for tests |
//!
//! `berth-kube` has a cluster in memory for tests, behind its feature `in-memory`, and a suite of cases that
//! every backend must pass.

pub mod builds;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
pub mod config;
pub mod context;
pub mod deployments;
mod engine;
mod error;
pub mod ingress;
pub mod manifest;
pub mod pods;
mod registry;
pub mod setup;

use berth_core::files;
pub use berth_core::{self as domain, secret, tls};
pub use berth_core::{Event, EventKind, EventSink, Silent, Step};
pub use berth_kube as cluster;
pub use berth_ssh as ssh;
pub use berth_store as store;
pub use builds::{BuildManager, BuildRequest};
pub use client::{Berth, BerthBuilder, Records, delete_pod, execute_in_pod, manage_pod};
pub use deployments::{DeployRequest, DeploymentManager, SecretManager};
pub use error::{Error, Kind, Rollback};
pub use ingress::IngressManager;
pub use pods::{ExecuteRequest, ManageRequest, PodManager};
pub use setup::SetupManager;
#[doc(no_inline)]
pub use {bytes, chrono, futures, k8s_openapi};
