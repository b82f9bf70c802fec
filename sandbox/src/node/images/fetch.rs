//! Fetching from a registry, with containerd's words for what goes wrong.

use std::path::Path;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::credentials::Login;
use super::reference::Reference;
use crate::registry::digest::{Digest, Sum};
use berth_objects::json::text;

/// Everything that a manifest may be.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// No manifest is larger.
const LARGEST_MANIFEST: u64 = 8 * 1024 * 1024;

/// Why something could not be fetched; the kind decides how the kubelet prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    NotFound(String),
    /// The content is not what its digest says.
    Broken(String),
    Other(String),
}

impl Trouble {
    /// The same with some words before its own.
    pub(super) fn after(self, words: &str) -> Self {
        match self {
            Self::NotFound(text) => Self::NotFound(format!("{words}{text}")),
            Self::Broken(text) => Self::Broken(format!("{words}{text}")),
            Self::Other(text) => Self::Other(format!("{words}{text}")),
        }
    }

    /// As the kubelet prints it: it leaves the code out when that says nothing.
    pub(super) fn text(self) -> String {
        match self {
            Self::NotFound(text) => format!("rpc error: code = NotFound desc = {text}"),
            Self::Broken(text) => format!("rpc error: code = FailedPrecondition desc = {text}"),
            Self::Other(text) => text,
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// What a manifest says of a content.
#[derive(Clone, Debug)]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) media_type: String,
}

impl Descriptor {
    pub(super) fn of(value: &Value) -> Result<Self, Trouble> {
        let written = text(value, "/digest");
        let digest = Digest::parse(written).ok_or_else(|| {
            Trouble::Other(format!("invalid checksum digest format: {written:?}"))
        })?;
        let media_type = text(value, "/mediaType").to_owned();
        Ok(Self { digest, media_type })
    }
}

/// One pull from one repository.
pub(super) struct Fetcher<'a> {
    pub(super) client: &'a Client,
    pub(super) reference: &'a Reference,
    pub(super) login: Option<&'a Login>,
}

impl Fetcher<'_> {
    /// The digest that the name stands for now.
    pub(super) async fn resolve(&self) -> Result<Digest, Trouble> {
        let Reference { full, version, .. } = self.reference;
        let response = self.ask(Method::HEAD, "manifests", version).await?;
        let told = response.headers().get("Docker-Content-Digest");
        match response.status() {
            StatusCode::NOT_FOUND => Err(Trouble::NotFound(format!("{full}: not found"))),
            StatusCode::UNAUTHORIZED if self.login.is_none() => Err(Trouble::Other(
                "pull access denied, repository does not exist or may require authorization: \
                 authorization failed: no basic auth credentials"
                    .to_owned(),
            )),
            status if !status.is_success() => Err(Trouble::Other(format!(
                "unexpected status from HEAD request to {}: {status}",
                response.url()
            ))),
            _ => told
                .and_then(|value| Digest::parse(value.to_str().ok()?))
                .ok_or_else(|| {
                    Trouble::Other("could not resolve digest from the headers".to_owned())
                }),
        }
    }

    /// A manifest or a list of them, which has the digest.
    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Value, Trouble> {
        let response = self.get("manifests", digest.as_str(), "").await?;
        let large = response
            .content_length()
            .is_some_and(|length| length > LARGEST_MANIFEST);
        let bytes = if large {
            Vec::new()
        } else {
            response.bytes().await.map_err(cut)?.to_vec()
        };
        parse(&bytes, digest, "manifest")
    }

    /// An image's configuration.
    pub(super) async fn config(&self, config: &Descriptor) -> Result<Value, Trouble> {
        let response = self
            .get("blobs", config.digest.as_str(), &config.media_type)
            .await?;
        let bytes = response.bytes().await.map_err(cut)?;
        parse(&bytes, &config.digest, "config")
    }

    /// A layer into a file; answers with its size.
    pub(super) async fn layer(&self, layer: &Descriptor, file: &Path) -> Result<u64, Trouble> {
        let mut response = self
            .get("blobs", layer.digest.as_str(), &layer.media_type)
            .await?;
        let mut out = tokio::fs::File::create(file).await?;
        let (mut sum, mut size) = (Sum::default(), 0);
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            sum.add(&chunk);
            size += u64::try_from(chunk.len()).unwrap_or(0);
            out.write_all(&chunk).await?;
        }
        out.flush().await?;
        verify(&sum.digest(), &layer.digest, "layer")?;
        Ok(size)
    }

    async fn get(&self, part: &str, digest: &str, media_type: &str) -> Result<Response, Trouble> {
        let what = "failed to copy: httpReadSeeker: failed open: ";
        let response = self.ask(Method::GET, part, digest).await;
        let response = response.map_err(|trouble| trouble.after(what))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(Trouble::NotFound(format!(
                "{what}could not fetch content descriptor {digest} ({media_type}) from remote: not found"
            ))),
            status => Err(Trouble::Other(format!(
                "{what}unexpected status from GET request to {}: {status}",
                response.url()
            ))),
        }
    }

    async fn ask(&self, method: Method, part: &str, version: &str) -> Result<Response, Trouble> {
        let url = self.reference.url(part, version);
        let verb = if method == Method::HEAD {
            "Head"
        } else {
            "Get"
        };
        let mut request = self
            .client
            .request(method, &url)
            .header("Accept", MANIFESTS);
        if let Some(login) = self.login {
            request = request.basic_auth(&login.username, Some(login.password.expose()));
        }
        request.send().await.map_err(|error| {
            let why = if error.is_connect() {
                format!(
                    "dial tcp {}: connect: connection refused",
                    self.reference.host
                )
            } else {
                "EOF".to_owned()
            };
            Trouble::Other(format!("failed to do request: {verb} \"{url}\": {why}"))
        })
    }
}

/// The connection broke while the answer came.
fn cut(_: reqwest::Error) -> Trouble {
    Trouble::Other("failed to copy: httpReadSeeker: failed open: unexpected EOF".to_owned())
}

fn parse(bytes: &[u8], digest: &Digest, what: &str) -> Result<Value, Trouble> {
    verify(&Digest::of(bytes), digest, what)?;
    serde_json::from_slice(bytes)
        .map_err(|error| Trouble::Other(format!("failed to unmarshal {what} {digest}: {error}")))
}

fn verify(found: &Digest, wanted: &Digest, what: &str) -> Result<(), Trouble> {
    if found == wanted {
        return Ok(());
    }
    Err(Trouble::Broken(format!(
        "failed commit on ref \"{what}-{wanted}\": unexpected commit digest {found}, \
         expected {wanted}: failed precondition"
    )))
}
