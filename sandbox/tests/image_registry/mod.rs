//! A registry that lives as long as a test: in memory, on a free port, with a login if that is
//! wanted. Only what a push and a pull need.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The registry.
pub(crate) struct Registry {
    runtime: Option<tokio::runtime::Runtime>,
    kept: Arc<Kept>,
    port: u16,
}

#[derive(Default)]
struct Kept {
    /// `Basic …`, if one must log in.
    login: Option<String>,
    blobs: Mutex<HashMap<String, Bytes>>,
    /// By `REPOSITORY:TAG` and by `REPOSITORY@DIGEST`: kind and bytes.
    manifests: Mutex<HashMap<String, (String, Bytes)>>,
    uploads: Mutex<HashMap<String, Vec<u8>>>,
    requests: Mutex<Vec<String>>,
}

impl Registry {
    /// Starts one that anybody may use.
    pub(crate) fn start() -> Self {
        Self::serve(None)
    }

    /// Starts one that asks for a name and a password.
    pub(crate) fn with_login(username: &str, password: &str) -> Self {
        let words = format!("{username}:{password}");
        let words = base64::engine::general_purpose::STANDARD.encode(words);
        Self::serve(Some(format!("Basic {words}")))
    }

    fn serve(login: Option<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let kept = Arc::new(Kept {
            login,
            ..Kept::default()
        });
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&kept))
            .layer(axum::extract::DefaultBodyLimit::disable());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            runtime: Some(runtime),
            kept,
            port,
        }
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The executor's flag for a push to `x/y:1`.
    pub(crate) fn destination(&self) -> String {
        format!("--destination={}/x/y:1", self.host())
    }

    /// A manifest and its digest.
    pub(crate) fn manifest(&self, repository: &str, tag: &str) -> Option<(Value, String)> {
        let manifests = lock(&self.kept.manifests);
        let (_, bytes) = manifests.get(&format!("{repository}:{tag}"))?;
        Some((serde_json::from_slice(bytes).unwrap(), digest(bytes)))
    }

    /// The configuration of an image.
    pub(crate) fn config(&self, repository: &str, tag: &str) -> Value {
        let (manifest, _) = self.manifest(repository, tag).unwrap();
        serde_json::from_slice(&self.blob(manifest["config"]["digest"].as_str().unwrap())).unwrap()
    }

    /// The names in each layer of an image, bottom first, with what regular files hold.
    pub(crate) fn layers(&self, repository: &str, tag: &str) -> Vec<Vec<(String, String)>> {
        let (manifest, _) = self.manifest(repository, tag).unwrap();
        let layers = manifest["layers"].as_array().unwrap().clone();
        let digests = layers.iter().map(|layer| layer["digest"].as_str().unwrap());
        digests.map(|digest| entries(&self.blob(digest))).collect()
    }

    /// How many tags a repository has.
    pub(crate) fn tags(&self, repository: &str) -> usize {
        let prefix = format!("{repository}:");
        let manifests = lock(&self.kept.manifests);
        manifests
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .count()
    }

    /// Every request so far: method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.kept.requests).clone()
    }

    fn blob(&self, digest: &str) -> Bytes {
        lock(&self.kept.blobs).get(digest).unwrap().clone()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn entries(packed: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        found.push((name, String::from_utf8_lossy(&content).into_owned()));
    }
    found
}

async fn answer(
    State(kept): State<Arc<Kept>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    lock(&kept.requests).push(format!("{method} {path}"));
    let shown = headers.get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    if kept.login.is_some() && shown != kept.login.as_deref() {
        let mut refusal = error(401, "UNAUTHORIZED", "authentication required", None);
        let challenge = "Basic realm=\"test\"".parse().unwrap();
        refusal
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return refusal;
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return plain(404);
    };
    if rest.is_empty() {
        return plain(200);
    }
    if let Some((repository, upload)) = rest.split_once("/blobs/uploads/") {
        return kept.upload(
            &method,
            repository,
            upload,
            uri.query().unwrap_or_default(),
            &body,
        );
    }
    if let Some((_, digest)) = rest.split_once("/blobs/") {
        return match lock(&kept.blobs).get(digest) {
            Some(bytes) => Response::new(Body::from(bytes.clone())),
            None => error(404, "BLOB_UNKNOWN", "blob unknown to registry", None),
        };
    }
    match rest.split_once("/manifests/") {
        Some((repository, which)) => kept.manifest(&method, repository, which, &headers, body),
        None => plain(404),
    }
}

impl Kept {
    fn upload(
        &self,
        method: &Method,
        repository: &str,
        upload: &str,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let mut uploads = lock(&self.uploads);
        if *method == Method::POST {
            let name = format!("u{}", lock(&self.requests).len());
            uploads.insert(name.clone(), Vec::new());
            return located(202, &format!("/v2/{repository}/blobs/uploads/{name}"));
        }
        if *method == Method::DELETE {
            uploads.remove(upload);
            return plain(204);
        }
        let Some(bytes) = uploads.get_mut(upload) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown", None);
        };
        bytes.extend_from_slice(body);
        if *method == Method::PATCH {
            return located(202, &format!("/v2/{repository}/blobs/uploads/{upload}"));
        }
        let bytes = uploads.remove(upload).unwrap();
        let promised = query.replace("%3A", ":");
        if !promised.ends_with(&digest(&bytes)) {
            return error(400, "DIGEST_INVALID", "provided digest did not match", None);
        }
        let name = digest(&bytes);
        lock(&self.blobs).insert(name, Bytes::from(bytes));
        plain(201)
    }

    fn manifest(
        &self,
        method: &Method,
        repository: &str,
        which: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let mut manifests = lock(&self.manifests);
        let separator = if which.starts_with("sha256:") {
            "@"
        } else {
            ":"
        };
        let name = format!("{repository}{separator}{which}");
        if *method == Method::PUT {
            let kind = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            manifests.insert(
                format!("{repository}@{}", digest(&body)),
                (kind.clone(), body.clone()),
            );
            manifests.insert(name, (kind, body));
            return plain(201);
        }
        let Some((kind, bytes)) = manifests.get(&name) else {
            let detail = format!("unknown tag={which}");
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown", Some(&detail));
        };
        let mut found = Response::new(Body::from(bytes.clone()));
        found
            .headers_mut()
            .insert(header::CONTENT_TYPE, kind.parse().unwrap());
        found
    }
}

fn plain(status: u16) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

fn located(status: u16, location: &str) -> Response<Body> {
    let mut answer = plain(status);
    answer
        .headers_mut()
        .insert(header::LOCATION, location.parse().unwrap());
    answer
}

fn error(status: u16, code: &str, message: &str, detail: Option<&str>) -> Response<Body> {
    let listed = json!({ "errors": [{ "code": code, "message": message, "detail": detail }] });
    let mut answer = plain(status);
    *answer.body_mut() = Body::from(listed.to_string());
    answer
}
