//! The HTTP front: connections, who asks, whether they may, and to whom the request goes.

pub(super) mod answer;
mod exec;
mod log;
mod long_target;
mod read;
pub(super) mod request;
mod reviews;
mod table;
mod watch;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::auth::{Auth, User};
use super::{Gate, GateAnswer, NodeRuntime, RequestInfo, Settings};
use berth_objects::resources::{self, Kind};
use berth_objects::selector::Selection;
use berth_objects::{ApiError, Store};
use request::Parameters;

/// What every handler may need.
pub(super) struct Server {
    pub(super) store: Store,
    pub(super) runtime: Arc<dyn NodeRuntime>,
    pub(super) auth: Auth,
    pub(super) gate: Option<Arc<dyn Gate>>,
    pub(super) settings: Settings,
}

/// Cuts the connection that a request came on.
#[derive(Clone)]
struct Cutter(Arc<Notify>);

/// Accepts connections until dropped.
pub(super) async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    server: Arc<Server>,
) -> std::io::Result<()> {
    let router = Router::new().fallback(handle).with_state(server);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        stream.set_nodelay(true)?;
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            let stream = match tls.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => return tracing::debug!(%error, "TLS handshake"),
            };
            let stream = match long_target::shortened(stream).await {
                Ok(stream) => stream,
                Err(error) => return tracing::debug!(%error, "connection"),
            };
            let cut = Arc::new(Notify::new());
            let cutter = Cutter(Arc::clone(&cut));
            let service = TowerToHyperService::new(router.map_request(
                move |mut request: hyper::Request<hyper::body::Incoming>| {
                    request.extensions_mut().insert(cutter.clone());
                    request
                },
            ));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().max_buf_size(2 * long_target::LONGEST);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            tokio::select! {
                end = connection => if let Err(error) = end {
                    tracing::debug!(%error, "connection");
                },
                () = cut.notified() => {}
            }
        });
    }
}

/// A request that has been let in.
pub(super) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) info: RequestInfo,
    pub(super) parameters: Parameters,
    pub(super) user: User,
    pub(super) accept: String,
}

impl Call {
    /// The kind that the path names.
    pub(super) fn kind(&self) -> Result<Kind, ApiError> {
        let RequestInfo {
            group,
            version,
            resource,
            ..
        } = &self.info;
        resources::find(group, version, resource).ok_or_else(unknown_path)
    }

    /// The namespace under which objects of the kind are filed.
    pub(super) fn namespace(&self, kind: Kind) -> &str {
        if kind.namespaced {
            &self.info.namespace
        } else {
            ""
        }
    }

    /// Which objects of the kind a list or a watch is for.
    pub(super) fn selection(&self, kind: Kind) -> Result<Selection, ApiError> {
        let (labels, fields) = ("labelSelector", "fieldSelector");
        let [labels, fields] = [labels, fields].map(|name| self.parameters.get(name));
        Selection::parse(kind, self.namespace(kind), labels, fields)
    }
}

/// What a path that nobody serves gets.
pub(super) fn unknown_path() -> ApiError {
    ApiError {
        details: serde_json::json!({}),
        ..ApiError::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    match serve(server, request).await {
        Ok(response) => response,
        Err(error) => answer::refusal(&error),
    }
}

async fn serve(server: Arc<Server>, request: Request) -> Result<Response<Body>, ApiError> {
    let parameters = match long_target::query(request.headers()) {
        Some(query) => Parameters::of_query(query),
        None => Parameters::of(request.uri()),
    };
    let info = request::info(request.method(), request.uri(), &parameters);
    let user = server.auth.authenticate(request.headers(), &server.store)?;
    if let Some(gate) = &server.gate {
        match gate.admit(&info).await {
            GateAnswer::Pass => {}
            GateAnswer::Refuse(error) => return Err(error),
            GateAnswer::Cut => {
                if let Some(Cutter(cut)) = request.extensions().get() {
                    cut.notify_one();
                }
                std::future::pending::<()>().await;
            }
        }
    }
    super::rbac::authorize(&server.store, &user, &info)?;
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let accept = accept.unwrap_or_default().to_owned();
    let call = Call {
        server,
        info,
        parameters,
        user,
        accept,
    };
    tracing::debug!(
        verb = call.info.verb,
        path = call.info.path,
        user = call.user.name,
        "request"
    );
    let deprecated = call.info.resource == "endpoints" && call.info.group.is_empty();
    let response = route(call, request).await?;
    Ok(if deprecated {
        answer::warn(response, &[ENDPOINTS_DEPRECATED.to_owned()])
    } else {
        response
    })
}

/// What every request for the older form of endpoints is told.
const ENDPOINTS_DEPRECATED: &str =
    "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// Everything that is served, on one page.
async fn route(call: Call, request: Request) -> Result<Response<Body>, ApiError> {
    let path = call.info.path.as_str();
    if call.info.resource.is_empty() {
        return match path {
            "/healthz" | "/livez" | "/readyz" | "/healthz/ping" => Ok(answer::text(200, "ok")),
            "/openapi/v2" => {
                let mut response = answer::text(200, super::openapi::EMPTY_V2);
                let kind = HeaderValue::from_static(super::openapi::V2_TYPE);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Ok(response)
            }
            _ => super::discovery::document(path, call.server.settings.address)
                .or_else(|| super::openapi::document(path))
                .map(|document| answer::json(200, &document))
                .ok_or_else(unknown_path),
        };
    }
    match (
        &*call.info.resource,
        call.info.verb,
        &*call.info.subresource,
    ) {
        (
            "selfsubjectaccessreviews"
            | "selfsubjectrulesreviews"
            | "subjectaccessreviews"
            | "localsubjectaccessreviews"
            | "selfsubjectreviews",
            "create",
            "",
        ) => reviews::create(&call, request).await,
        ("serviceaccounts", "create", "token") => reviews::token(&call, request).await,
        ("pods", _, "exec") => exec::serve(call, request).await,
        ("pods", "get", "log") => log::serve(&call).await,
        (_, "get", "" | "status") => read::get(&call),
        (_, "get", "scale") => read::scale(&call),
        (_, "list", "") => read::list(&call),
        (_, "watch", "") => watch::serve(&call),
        (_, "create", "") => write::create(&call, request).await,
        (_, "update", "" | "status" | "finalize") => write::update(&call, request).await,
        (_, "update" | "patch", "scale") => write::scale(&call, request).await,
        (_, "patch", "" | "status") => write::patch(&call, request).await,
        (_, "delete", "") => write::delete(&call, request).await,
        (_, "deletecollection", "") => write::delete_collection(&call, request).await,
        _ => {
            call.kind()?;
            Err(ApiError::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            ))
        }
    }
}
