//! One request by HTTP/1.1 and its answer, over a connection that is opened for it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, sync::OnceCell, task::JoinSet};

use super::place::Url;
use crate::{
    cluster::{Host, Wire},
    files,
    secret::Secret,
    tls,
};

/// The longest that opening a connection may take.
const OPENING: Duration = Duration::from_secs(5);
/// The longest answer that is taken, in bytes: registries refuse larger manifests.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// Opens TCP connections.
#[async_trait]
pub(super) trait Door: Send + Sync {
    async fn open(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, String>;
}

/// From the host, by SSH.
pub(super) struct ThroughHost<'a>(pub(super) &'a dyn Host);

#[async_trait]
impl Door for ThroughHost<'_> {
    async fn open(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, String> {
        let opened = self.0.tunnel(host, port).await;
        opened.map_err(|error| error.to_string())
    }
}

/// From this machine.
pub(super) struct FromHere;

#[async_trait]
impl Door for FromHere {
    async fn open(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, String> {
        let stream = TcpStream::connect((host, port)).await;
        Ok(Box::new(stream.map_err(|error| error.to_string())?))
    }
}

/// TLS, set up when it is needed.
#[derive(Default)]
pub(super) struct Tls {
    /// A file with certificates in PEM that are trusted as well.
    pub(super) ca_file: Option<PathBuf>,
    config: OnceCell<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    pub(super) fn trusting(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            ..Self::default()
        }
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let ca_file = self.ca_file.clone();
        let read = || async {
            // It reads a hundred files.
            let read = tokio::task::spawn_blocking(|| set_up(ca_file)).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
        };
        self.config.get_or_init(read).await.clone()
    }
}

fn set_up(ca_file: Option<PathBuf>) -> Result<Arc<ClientConfig>, String> {
    let mut more = Vec::new();
    if let Some(file) = ca_file {
        let refused = |problem: String| format!("{} {problem}", file.display());
        more = files::read(&file).map_err(|error| refused(format!("can't be read: {error}")))?;
        tls::check_certificates(&more).map_err(refused)?;
    }
    match tls::client_config(&more) {
        Ok(config) => Ok(Arc::new(config)),
        Err(error) => Err(format!("TLS can't be set up: {error}")),
    }
}

/// Why there is no answer.
pub(super) enum Problem {
    /// The server is not reached, or does not answer by HTTP.
    Unreachable(String),
    /// TLS with it fails by its certificate, or by the settings here.
    Untrusted(String),
}

impl From<String> for Problem {
    fn from(words: String) -> Self {
        Self::Unreachable(words)
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// A header's value, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Sends a request and takes its answer; the error says what failed, without the login.
pub(super) async fn send(
    door: &dyn Door,
    tls: &Tls,
    method: Method,
    url: &Url,
    accept: &'static str,
    authorization: Option<&Secret<String>>,
) -> Result<Answer, Problem> {
    let mut request = Request::builder()
        .method(method)
        .uri(&url.path)
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .header(ACCEPT, accept);
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization.expose())
            .map_err(|_| "the login can't be sent".to_owned())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let wire = tokio::time::timeout(OPENING, open(door, tls, url)).await;
    let wire = wire.unwrap_or_else(|_| {
        let words = format!("no connection within {}s", OPENING.as_secs());
        Err(Problem::Unreachable(words))
    });
    let answer = exchange(wire?, request).await;
    answer.map_err(|error| Problem::Unreachable(words(&*error)))
}

async fn open(door: &dyn Door, tls: &Tls, url: &Url) -> Result<Box<dyn Wire>, Problem> {
    let wire = door.open(&url.host, url.port).await?;
    if !url.tls {
        return Ok(wire);
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
    let config = tls.config().await.map_err(Problem::Untrusted)?;
    let wire = tokio_rustls::TlsConnector::from(config)
        .connect(name, wire)
        .await;
    Ok(Box::new(wire.map_err(
        |error| match tls::certificate_problem(&error) {
            Some((words, _)) => Problem::Untrusted(words),
            None => Problem::Unreachable(error.to_string()),
        },
    )?))
}

async fn exchange(
    wire: Box<dyn Wire>,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await?;
    // Ends with this call.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
    })
}

/// An error with what caused it.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<_> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
