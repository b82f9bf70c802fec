//! A client of a Kubernetes cluster, for any kind of object, and the diagnosis of pods.
//!
//! Callers use a [`Client`] and never see command lines. How requests travel is known to a [`Backend`]
//! alone; [`kubectl`] has the one that runs `kubectl` on a host over SSH. What a host does that is no
//! Kubernetes request (`aws`, its kubeconfig, TCP connections) is asked of a [`Host`]. A [steady
//! client](Client::steady) is for one operation, which then survives a lost connection. [`assess`] turns
//! the state of pods and Deployments into a diagnosis.
//!
//! What is applied is a [`Manifest`]: an object that was decoded strictly as its kind.
//!
//! This crate knows nothing of settings, records, templates or front doors.

pub mod assess;
mod backend;
mod client;
#[cfg(feature = "in-memory")]
pub mod conformance;
mod contact;
mod error;
mod events;
mod exec;
mod facts;
mod host;
mod host_fault;
#[cfg(feature = "in-memory")]
pub mod in_memory;
pub mod kubectl;
mod last_lines;
mod manifest;
mod objects;
mod ownership;
mod resource;
mod scale_up;
mod status;
mod typed;
mod watch_pace;

pub use self::{
    backend::{Backend, Changes},
    client::Client,
    error::{ClusterError, Reply},
    events::{event_time, is_warning, warning, warnings},
    exec::{
        Captured, ExecCommand, ExecError, ExecOutput, ExecRequest, ExecSink, Partial, PodRef,
        Program, Stdin, Stream,
    },
    facts::{Applied, LogRequest},
    host::{EcrOutcome, Host, InstalledKubeconfig, KubeconfigSource, LoadBalancer, SshHost, Wire},
    host_fault::HostFault,
    last_lines::add_last_lines,
    manifest::{InvalidManifest, Manifest, redaction},
    objects::{ObjectChange, Objects, Query},
    ownership::{
        ForeignField, Kept, MANAGER, foreign_fields, is_set_by_others, own_spec, replaced_metadata,
    },
    resource::{Resource, Scope},
    scale_up::is_node_coming,
    status::Status,
    watch_pace::WatchPace,
};
