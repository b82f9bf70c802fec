//! A small image registry: a subset of the OCI distribution spec 1.1 over plain HTTP on loopback.
//!
//! What is pushed here is what pods run: the node pulls from it as from any other registry. It can
//! be made to fail, to refuse pushes, and to ask for a name and a password. Deleting is not in the
//! subset, nor are ranges of blobs and referrers.
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod blobs;
pub(crate) mod digest;
mod manifests;
mod names;
mod refusal;
mod storage;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use self::blobs::Uploads;
use self::names::Target;
use self::refusal::{Code, Refusal};
use self::storage::Storage;

/// The registry; it lives as long as the sandbox.
pub(crate) struct Registry {
    address: SocketAddr,
    storage: Storage,
    uploads: Uploads,
    rules: Mutex<Rules>,
    serving: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port ours while the registry is away.
    _reserved: TcpSocket,
}

/// Who may do what.
#[derive(Debug, Default)]
struct Rules {
    read_only: bool,
    /// The one value of `Authorization` that is let in; None lets everybody in.
    authorization: Option<String>,
}

/// A name and a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

impl Registry {
    /// Starts one on a free loopback port; it keeps what is pushed in `dir`.
    pub(crate) fn start(dir: &Path) -> Result<Arc<Self>> {
        let (reserved, port) = crate::host::link::reserve_port()?;
        let registry = Arc::new(Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            storage: Storage::new(dir)?,
            uploads: Uploads::default(),
            rules: Mutex::default(),
            serving: Mutex::new(None),
            _reserved: reserved,
        });
        registry.serve()?;
        Ok(registry)
    }

    /// Where it listens: the first part of its images' names.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the registry away with every connection to it, or brings it back; it forgets nothing.
    pub(crate) async fn take_down(self: &Arc<Self>, down: bool) -> Result<()> {
        let serving = lock(&self.serving).take();
        match (serving, down) {
            (Some(task), true) => {
                task.abort();
                let _ = task.await;
            }
            (None, false) => self.serve()?,
            (unchanged, _) => *lock(&self.serving) = unchanged,
        }
        Ok(())
    }

    /// Refuses pushes from now on, or takes them again.
    pub(crate) fn refuse_pushes(&self, read_only: bool) {
        lock(&self.rules).read_only = read_only;
    }

    /// Asks everybody for this name and password from now on, or nobody for anything.
    pub(crate) fn ask_for(&self, credentials: Option<&Credentials>) {
        lock(&self.rules).authorization = credentials.map(|Credentials { username, password }| {
            format!(
                "Basic {}",
                STANDARD.encode(format!("{username}:{password}"))
            )
        });
    }

    fn serve(self: &Arc<Self>) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(256)?;
        *lock(&self.serving) = Some(tokio::spawn(accept(listener, Arc::clone(self))));
        Ok(())
    }

    /// Whether the request may go on.
    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let rules = lock(&self.rules);
        let told = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match &rules.authorization {
            Some(wanted) if told != Some(wanted.as_str()) => Err(Code::Unauthorized.into()),
            _ if rules.read_only && manifests::is_push(method) => Err(Code::Denied.into()),
            _ => Ok(()),
        }
    }

    async fn answer(&self, request: Request) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        self.admit(&head.method, &head.headers)?;
        let query = parameters(&head.uri);
        let target = names::target(head.uri.path()).ok_or(Code::Unsupported)?;
        if target
            .name()
            .is_some_and(|name| !names::is_repository(name))
        {
            return Err(Code::NameInvalid.into());
        }
        if matches!(&target, Target::Upload { id, .. } if !names::is_upload(id)) {
            return Err(Code::BlobUploadUnknown.into());
        }
        let (storage, uploads) = (&self.storage, &self.uploads);
        let reads = !manifests::is_push(&head.method);
        match (target, head.method.as_str()) {
            (Target::Base, _) if reads => Ok(axum::Json(serde_json::json!({})).into_response()),
            (Target::Tags { name }, _) if reads => manifests::tags(storage, name, &query),
            (Target::Manifest { name, reference }, _) if reads => {
                manifests::read(storage, name, reference)
            }
            (Target::Manifest { name, reference }, "PUT") => {
                manifests::push(storage, name, reference, &head.headers, body).await
            }
            (Target::Blob { name, digest }, _) if reads => blobs::read(storage, name, digest).await,
            (Target::Uploads { name }, "POST") => {
                blobs::begin(storage, uploads, name, &query, body).await
            }
            (Target::Upload { name, id }, "GET") => blobs::progress(uploads, name, id),
            (Target::Upload { name, id }, "PATCH") => {
                blobs::append(storage, uploads, (name, id), &head.headers, body).await
            }
            (Target::Upload { name, id }, "PUT") => {
                let digest = query.get("digest").map_or("", String::as_str);
                blobs::finish(storage, uploads, (name, id), digest, body).await
            }
            (Target::Upload { name, id }, "DELETE") => {
                blobs::give_up(storage, uploads, (name, id)).await
            }
            _ => Err(Code::Unsupported.into()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections until dropped, which also cuts them.
async fn accept(listener: TcpListener, registry: Arc<Registry>) {
    let router = Router::new().fallback(handle).with_state(registry);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            if let Err(error) = builder
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "a connection to the registry");
            }
        });
    }
}

async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let mut response = match registry.answer(request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let version = HeaderValue::from_static("registry/2.0");
    response
        .headers_mut()
        .insert("Docker-Distribution-Api-Version", version);
    response
}

/// What a request's query says.
type Parameters = HashMap<String, String>;

fn parameters(uri: &Uri) -> Parameters {
    Query::try_from_uri(uri).map_or_else(|_| Parameters::new(), |Query(pairs)| pairs)
}
