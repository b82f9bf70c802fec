//! A small Kubernetes API server: discovery, validation, admission and the HTTP front of exec and log,
//! over the object store of [`berth_objects`]. It knows nothing of processes; those belong to the [`NodeRuntime`].
//!
//! What it refuses, it refuses in the words of the real server. It must never be kinder.

mod admission;
mod auth;
mod body;
mod bootstrap;
mod discovery;
mod housekeeping;
mod http;
mod openapi;
mod rbac;
pub mod runtime;
mod services;
pub mod tls;
mod validate;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;

use berth_objects::{ApiError, Store};
pub use runtime::NodeRuntime;

/// What the API server has to be told.
#[derive(Clone)]
pub struct Settings {
    /// The bearer token of `kubernetes-admin`, who may do everything.
    pub admin_token: String,
    /// The authority's certificate, published in every namespace as `kube-root-ca.crt`.
    pub ca_pem: String,
    /// The address that the listener is reached at, for discovery.
    pub address: SocketAddr,
    /// Asked before every authenticated request; this is where faults come from.
    pub gate: Option<Arc<dyn Gate>>,
    /// Each new number ends every exec that is under way as a lost kubelet ends it: without a word.
    pub exec_cuts: tokio::sync::watch::Receiver<u64>,
}

/// What a request wants, in the words of RBAC.
#[derive(Debug, Clone, Default)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`
    pub verb: &'static str,
    /// API group, empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Empty for cluster-scoped requests and requests across namespaces.
    pub namespace: String,
    /// Plural name; empty for requests that are not for a resource (`/version`, …).
    pub resource: String,
    /// `status`, `exec`, `log`, … or empty.
    pub subresource: String,
    /// Empty for collections.
    pub name: String,
    /// The request's path.
    pub path: String,
}

/// Lets requests pass or not; may also wait before it answers.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Decides about one request.
    async fn admit(&self, request: &RequestInfo) -> GateAnswer;
}

/// A gate's decision.
#[derive(Debug, Clone)]
pub enum GateAnswer {
    /// Go on.
    Pass,
    /// Answer with this error.
    Refuse(ApiError),
    /// Cut the connection without an answer.
    Cut,
}

/// An empty store whose writes are checked as the API server checks them. `node_port_probe` says whether
/// the node can have a port that a service did not ask for by number.
pub fn store(node_port_probe: impl Fn(u16) -> bool + Send + Sync + 'static) -> Store {
    Store::with_admission(admission::Plugins {
        node_port_probe: Box::new(node_port_probe),
    })
}

/// Serves until the returned future is dropped, which also cuts every connection.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    store: Store,
    runtime: Arc<dyn NodeRuntime>,
    settings: Settings,
) -> std::io::Result<()> {
    bootstrap::run(&store).map_err(std::io::Error::other)?;
    let housekeeping = housekeeping::run(store.clone(), settings.ca_pem.clone());
    let server = Arc::new(http::Server {
        store,
        runtime,
        auth: auth::Auth::new(settings.admin_token.clone()),
        gate: settings.gate.clone(),
        settings,
    });
    tokio::select! {
        end = http::accept(listener, tls.into(), server) => end,
        () = housekeeping => Ok(()),
    }
}
