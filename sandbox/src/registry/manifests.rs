//! Manifests: what may be pushed as one, and how it is read.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Parameters;
use super::digest::Digest;
use super::refusal::{Code, Refusal};
use super::storage::{Manifest, Storage};
use crate::node::image::is_tag;
use berth_objects::json::{items, text};

/// The spec asks for at least this much; nobody has manifests so large.
const LARGEST: usize = 4 * 1024 * 1024;

/// Lists of manifests, by media type.
const LISTS: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// Single manifests.
const SINGLES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// `GET` and `HEAD`.
pub(super) fn read(storage: &Storage, name: &str, reference: &str) -> Result<Response, Refusal> {
    if !storage.has_repository(name) {
        return Err(Refusal::new(Code::NameUnknown, json!({ "name": name })));
    }
    let found = is_reference(reference).then(|| storage.manifest(name, reference));
    let manifest = found.flatten().ok_or_else(|| {
        Refusal::new(
            Code::ManifestUnknown,
            json!({ "name": name, "reference": reference }),
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, manifest.media_type),
        (header::ETAG, format!("\"{}\"", manifest.digest)),
    ];
    let digest = [("Docker-Content-Digest", manifest.digest.to_string())];
    Ok((headers, digest, manifest.bytes).into_response())
}

/// `PUT`: the bytes must have the digest that they are pushed by, and name nothing that is missing.
pub(super) async fn push(
    storage: &Storage,
    name: &str,
    reference: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if !is_reference(reference) {
        return Err(Refusal::new(
            Code::ManifestInvalid,
            json!({ "reference": reference }),
        ));
    }
    let bytes = axum::body::to_bytes(body, LARGEST)
        .await
        .map_err(|error| Refusal::new(Code::SizeInvalid, json!(error.to_string())))?;
    let digest = Digest::of(&bytes);
    let named = Digest::parse(reference);
    if named.as_ref().is_some_and(|named| *named != digest) {
        return Err(Refusal::new(
            Code::DigestInvalid,
            json!({ "digest": digest.as_str() }),
        ));
    }
    let media_type = media_type(&bytes, headers)?;
    let manifest = Manifest {
        digest,
        media_type,
        bytes: bytes.to_vec(),
    };
    check_parts(storage, name, &manifest)?;
    let tag = named.is_none().then_some(reference);
    storage.keep_manifest(name, tag, &manifest)?;
    let digest = manifest.digest.to_string();
    let headers = [(header::LOCATION, format!("/v2/{name}/manifests/{digest}"))];
    Ok((
        StatusCode::CREATED,
        headers,
        [("Docker-Content-Digest", digest)],
    )
        .into_response())
}

/// `GET tags/list`, with the spec's `n` and `last`.
pub(super) fn tags(storage: &Storage, name: &str, query: &Parameters) -> Result<Response, Refusal> {
    if !storage.has_repository(name) {
        return Err(Refusal::new(Code::NameUnknown, json!({ "name": name })));
    }
    let asked = |key: &str| query.get(key).map(String::as_str);
    let mut tags = storage.tags(name);
    if let Some(last) = asked("last") {
        tags.retain(|tag| tag.as_str() > last);
    }
    let mut headers = HeaderMap::new();
    if let Some(count) = asked("n").and_then(|n| n.parse::<usize>().ok())
        && tags.len() > count
    {
        tags.truncate(count);
        let next = format!(
            "</v2/{name}/tags/list?n={count}&last={}>; rel=\"next\"",
            tags.last().map_or("", String::as_str)
        );
        if let Ok(next) = next.parse() {
            headers.insert(header::LINK, next);
        }
    }
    Ok((headers, axum::Json(json!({ "name": name, "tags": tags }))).into_response())
}

/// The manifest's own word for what it is, which the request's must not contradict.
fn media_type(bytes: &[u8], headers: &HeaderMap) -> Result<String, Refusal> {
    let invalid = |why: &str| Refusal::new(Code::ManifestInvalid, json!(why));
    let content: Value =
        serde_json::from_slice(bytes).map_err(|error| invalid(&error.to_string()))?;
    if content.get("schemaVersion").and_then(Value::as_i64) != Some(2) {
        return Err(invalid("schemaVersion must be 2"));
    }
    let told = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let told = told.split(';').next().unwrap_or_default().trim();
    let own = text(&content, "/mediaType");
    if !own.is_empty() && own != told {
        return Err(invalid(&format!(
            "mediaType is {own:?}, Content-Type is {told:?}"
        )));
    }
    if !LISTS.contains(&told) && !SINGLES.contains(&told) {
        return Err(invalid(&format!("Content-Type {told:?} is no manifest's")));
    }
    Ok(told.to_owned())
}

/// Everything that a manifest names must be in its repository already.
fn check_parts(storage: &Storage, name: &str, manifest: &Manifest) -> Result<(), Refusal> {
    let content: Value = serde_json::from_slice(&manifest.bytes)
        .map_err(|error| Refusal::new(Code::ManifestInvalid, json!(error.to_string())))?;
    let is_list = LISTS.contains(&manifest.media_type.as_str());
    let (parts, config): (&[Value], _) = if is_list {
        (items(&content, "/manifests"), None)
    } else {
        let config = content.get("config").unwrap_or(&Value::Null);
        (items(&content, "/layers"), Some(config))
    };
    for part in config.into_iter().chain(parts) {
        let written = text(part, "/digest");
        let digest = Digest::parse(written).ok_or_else(|| {
            Refusal::new(
                Code::ManifestInvalid,
                json!(format!("{written:?} is no digest")),
            )
        })?;
        let there = if is_list {
            storage.manifest(name, digest.as_str()).is_some()
        } else {
            storage.blob(name, &digest).is_some()
        };
        if !there {
            let detail = json!({ "digest": digest.as_str() });
            return Err(Refusal::new(Code::ManifestBlobUnknown, detail));
        }
    }
    Ok(())
}

fn is_reference(reference: &str) -> bool {
    Digest::parse(reference).is_some() || is_tag(reference)
}

/// Whether a method changes what the registry holds.
pub(super) fn is_push(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}
