//! Requests to targets and their answers back.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::target::Target;
use crate::node::Node;

/// Headers that are for one connection (RFC 9110, 7.6.1).
const CONNECTION_ONLY: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where a request came from.
pub(super) struct Origin {
    /// The host that it names.
    pub(super) host: String,
    pub(super) peer: SocketAddr,
    /// The listener's port as the ingresses name it.
    pub(super) port: u16,
    pub(super) secure: bool,
}

/// Sends a request to a target; the error is the load balancer's own answer. A target that keeps
/// silent for `patience_seconds` has not answered.
pub(super) async fn send(
    node: &Node,
    target: &Target,
    request: Request<Incoming>,
    origin: &Origin,
    patience_seconds: u64,
) -> Result<Response<Body>, StatusCode> {
    let request = prepared(request, origin).ok_or(StatusCode::BAD_REQUEST)?;
    let answered = timeout(
        Duration::from_secs(patience_seconds),
        exchange(node, target, None, request),
    );
    match answered.await {
        Err(_) => Err(StatusCode::GATEWAY_TIMEOUT),
        Ok(Err(error)) => {
            tracing::debug!(%target, "no answer: {error:#}");
            Err(StatusCode::BAD_GATEWAY)
        }
        Ok(Ok(mut response)) => {
            for name in &CONNECTION_ONLY {
                response.headers_mut().remove(name);
            }
            *response.version_mut() = Version::default();
            Ok(response.map(Body::new))
        }
    }
}

/// One request over a connection of its own, which lasts as long as the answer's body.
pub(super) async fn exchange<B>(
    node: &Node,
    target: &Target,
    port: Option<u16>,
    request: Request<B>,
) -> anyhow::Result<Response<Incoming>>
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = target.connect(node, port).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The request as the target gets it.
fn prepared(request: Request<Incoming>, origin: &Origin) -> Option<Request<Incoming>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query()?.as_str();
    parts.uri = Uri::try_from(path).ok()?;
    parts.version = Version::HTTP_11;
    for name in &CONNECTION_ONLY {
        parts.headers.remove(name);
    }
    let headers = &mut parts.headers;
    headers.insert(header::HOST, HeaderValue::from_str(&origin.host).ok()?);
    let peer = origin.peer.ip().to_string();
    let chain = match text(headers, "x-forwarded-for") {
        Some(before) => format!("{before}, {peer}"),
        None => peer,
    };
    let scheme = if origin.secure { "https" } else { "http" };
    let trace = format!(
        "Root=1-{:08x}-{}",
        chrono::Utc::now().timestamp(),
        berth_objects::ids::new_uid().replace('-', "").get(..24)?
    );
    for (name, value) in [
        ("x-forwarded-for", chain),
        ("x-forwarded-proto", scheme.to_owned()),
        ("x-forwarded-port", origin.port.to_string()),
        ("x-amzn-trace-id", trace),
    ] {
        let value = HeaderValue::from_str(&value).ok()?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Some(Request::from_parts(parts, body))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
