//! A Kubernetes cluster: what can be asked of it, the answers' types, and what they say about pods.
//!
//! Callers ask [`Cluster`] for acts and facts, never for command lines. How requests travel is the
//! affair of a backend; [`kubectl`] is the one that runs `kubectl` on a host over SSH. What a host does
//! that is no Kubernetes request (`aws`, its kubeconfig, TCP connections) is asked of a [`Host`].
//! [`Steady`] wraps both for one operation, which then survives a lost connection. [`assess`] turns the
//! state of pods and Deployments into a diagnosis.
//!
//! What is applied is a [`Manifest`]: an object that was decoded strictly as its kind.
//!
//! This crate knows nothing of settings, records, templates or front doors.

pub mod assess;
mod error;
mod events;
mod exec;
mod facts;
mod host;
mod host_fault;
pub mod kubectl;
mod last_lines;
mod manifest;
mod objects;
mod outage;
mod ownership;
mod resource;
mod scale_up;
mod steady;
mod watch_pace;

use std::time::Duration;

use async_trait::async_trait;
use berth_core::Namespace;
use futures::stream::BoxStream;

pub use self::{
    error::{ClusterError, Reply},
    events::{event_phrase, event_phrases, event_time, warnings},
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
    outage::Outage,
    ownership::{
        ForeignField, Kept, MANAGER, foreign_fields, is_set_by_others, own_spec, replaced_metadata,
    },
    resource::{Resource, Scope},
    scale_up::is_node_coming,
    steady::Steady,
    watch_pace::WatchPace,
};

/// The acts and facts that berth needs of a cluster. One call is one trip to the host, unless it
/// says otherwise.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Applies the manifests server-side as field manager `berth`, all in one call, in their order.
    /// With `dry_run` the API server checks and answers as if, and keeps nothing; objects in a
    /// namespace that does not exist yet can't be checked so, and are left out of the answer.
    async fn apply(
        &self,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError>;

    /// Applies the manifests as [`Cluster::apply`] does, as another field manager: what it applied
    /// before and does not now is taken away, and what is others' stays.
    async fn apply_as(
        &self,
        manager: &str,
        manifests: &[Manifest],
    ) -> Result<Vec<Applied>, ClusterError>;

    /// What up to four queries find, in one trip. In a namespace that does not exist nothing is found.
    async fn find(&self, queries: &[Query]) -> Result<Objects, ClusterError>;

    /// What two queries of one resource each find, as it is and as it changes, until the stream is
    /// dropped or `at_most` is over. It may end sooner, as [`Cluster::watch`] does.
    async fn watch_objects(
        &self,
        queries: &[Query; 2],
        at_most: Duration,
    ) -> Result<BoxStream<'static, Result<ObjectChange, ClusterError>>, ClusterError>;

    /// Changes one object by a JSON patch (RFC 6902). One that names a `resourceVersion` fails with
    /// [`ClusterError::Modified`] when the object has changed since.
    async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<(), ClusterError>;

    /// Deletes what the query finds, waits until it is gone, and names it. Finding nothing is no error.
    async fn delete(&self, query: &Query, at_most: Duration) -> Result<Vec<Applied>, ClusterError>;

    /// Deletes what the query finds in the background, for a caller that has gone; [`Cluster::close`] waits
    /// for a moment until it is done.
    fn delete_later(&self, query: Query);

    /// Runs a command in a pod's container.
    ///
    /// With [`PodRef::Current`] the lane finds the owner's pod in the same trip; the output names it.
    async fn exec(
        &self,
        namespace: &Namespace,
        pod: &PodRef,
        request: ExecRequest,
    ) -> Result<ExecOutput, ExecError>;

    /// Waits until nothing is left of what the query finds.
    async fn wait_until_gone(&self, query: &Query, at_most: Duration) -> Result<(), ClusterError>;

    /// What a container printed, as it comes; ends when the container does, unless it is not followed.
    async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, ClusterError>>, ClusterError>;

    /// Ends what still runs for this program on the host, and disconnects. A later call connects anew.
    async fn close(&self);
}
