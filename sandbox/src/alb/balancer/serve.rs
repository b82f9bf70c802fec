//! Listeners: connections, requests, and the answers that a load balancer gives by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::model::{Action, Protocol};
use super::forward::{self, Origin};
use super::route::route;
use super::{Config, Shared};

/// Accepts connections until dropped, which also cuts every connection.
pub(super) async fn accept(shared: Arc<Shared>, port: u16, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(connection(Arc::clone(&shared), port, stream, peer));
            }
            Err(error) => {
                tracing::error!(%error, port, "a listener has ended");
                return;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(shared: Arc<Shared>, port: u16, stream: TcpStream, peer: SocketAddr) {
    let tls = shared.config().tls.get(&port).cloned();
    match tls {
        None => talk(shared, port, stream, peer).await,
        Some(config) => match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => talk(shared, port, stream, peer).await,
            Err(error) => tracing::debug!(%error, "TLS handshake"),
        },
    }
}

async fn talk<S>(shared: Arc<Shared>, port: u16, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, port, peer, request).await) }
    });
    let builder = Builder::new(TokioExecutor::new());
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "connection");
    }
}

async fn answer(
    shared: &Shared,
    port: u16,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let config = shared.config();
    let Some(listener) = config.listener(port) else {
        return page(StatusCode::SERVICE_UNAVAILABLE);
    };
    let host = host(&request);
    let bare = host.split(':').next().unwrap_or_default().to_owned();
    match route(listener, &bare, request.uri().path()) {
        Action::Respond { status, body } => plain(*status, body),
        Action::Redirect { port } => redirect(&config, *port, &bare, &request),
        Action::Forward(group) => match shared.choose(&config, group) {
            None => page(StatusCode::SERVICE_UNAVAILABLE),
            Some(target) => {
                let origin = Origin {
                    host,
                    peer,
                    port,
                    secure: listener.protocol == Protocol::Https,
                };
                let patience = config.model.idle_timeout_seconds;
                forward::send(&shared.node, &target, request, &origin, patience)
                    .await
                    .unwrap_or_else(page)
            }
        },
    }
}

/// The host that a request names, with its port if it has one.
fn host(request: &Request<Incoming>) -> String {
    let header = request.headers().get(header::HOST);
    let header = header.and_then(|value| value.to_str().ok());
    let authority = request
        .uri()
        .authority()
        .map(hyper::http::uri::Authority::as_str);
    header.or(authority).unwrap_or_default().to_owned()
}

fn redirect(config: &Config, port: u16, host: &str, request: &Request<Incoming>) -> Response<Body> {
    // A real one names the listener's port; here that is known by its local one.
    let local = config.local.get(&port).copied().unwrap_or(port);
    let rest = request.uri().path_and_query();
    let rest = rest.map_or("/", |rest| rest.as_str());
    let mut response = page(StatusCode::MOVED_PERMANENTLY);
    if let Ok(value) = HeaderValue::from_str(&format!("https://{host}:{local}{rest}")) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A fixed response.
fn plain(status: u16, body: &'static str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    sign(status, "text/plain; charset=utf-8", Body::from(body))
}

/// The page that a load balancer shows for a status of its own.
pub(super) fn page(status: StatusCode) -> Response<Body> {
    let title = match status {
        // Where the names that AWS uses differ from those of RFC 9110.
        StatusCode::SERVICE_UNAVAILABLE => "503 Service Temporarily Unavailable".to_owned(),
        StatusCode::GATEWAY_TIMEOUT => "504 Gateway Time-out".to_owned(),
        other => other.to_string(),
    };
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    sign(status, "text/html", Body::from(body))
}

fn sign(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("awselb/2.0"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
