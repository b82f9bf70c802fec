//! Blobs, and the three ways in which they arrive: in one request, in pieces, or from another
//! repository of the same registry.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::Parameters;
use super::digest::{Digest, Sum};
use super::refusal::{Code, Refusal};
use super::storage::Storage;

/// What has arrived of an upload.
#[derive(Debug, Default)]
struct Progress {
    name: String,
    length: u64,
    sum: Sum,
}

/// The uploads that are under way.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Progress>>);

/// `GET` and `HEAD` of a blob.
pub(super) async fn read(storage: &Storage, name: &str, digest: &str) -> Result<Response, Refusal> {
    let unknown = || Refusal::new(Code::BlobUnknown, json!({ "digest": digest }));
    let wanted = Digest::parse(digest)
        .ok_or_else(|| Refusal::new(Code::DigestInvalid, json!({ "digest": digest })))?;
    let path = storage.blob(name, &wanted).ok_or_else(unknown)?;
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let chunks = futures::stream::try_unfold(file, |mut file| async move {
        use tokio::io::AsyncReadExt as _;
        let mut chunk = vec![0; 64 * 1024];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then_some((chunk, file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    let digest = [("Docker-Content-Digest", wanted.to_string())];
    Ok((headers, digest, Body::from_stream(chunks)).into_response())
}

/// `POST …/uploads/`: a whole blob with `digest`, one that is here already with `mount` and `from`,
/// or the begin of an upload.
pub(super) async fn begin(
    storage: &Storage,
    uploads: &Uploads,
    name: &str,
    query: &Parameters,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = |key: &str| query.get(key).map(String::as_str);
    if let (Some(digest), Some(from)) = (asked("mount").and_then(Digest::parse), asked("from"))
        && super::names::is_repository(from)
        && storage.blob(from, &digest).is_some()
    {
        storage.link_blob(name, &digest)?;
        return Ok(kept(name, &digest));
    }
    let id = berth_objects::ids::new_uid();
    let progress = Progress {
        name: name.to_owned(),
        ..Progress::default()
    };
    uploads.lock().insert(id.clone(), progress);
    tokio::fs::write(storage.upload(&id), b"").await?;
    if let Some(digest) = asked("digest") {
        return finish(storage, uploads, (name, &id), digest, body).await;
    }
    Ok(accepted(StatusCode::ACCEPTED, name, &id, 0))
}

/// `PATCH`: a further piece, which must begin where the last one ended.
pub(super) async fn append(
    storage: &Storage,
    uploads: &Uploads,
    (name, id): (&str, &str),
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let range = headers
        .get(header::CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let start = range.map(|range| {
        let range = range.strip_prefix("bytes ").unwrap_or(range);
        range.split('-').next().unwrap_or_default().parse::<u64>()
    });
    let mut progress = uploads.take(name, id)?;
    if start.is_some_and(|start| start != Ok(progress.length)) {
        let detail = json!({ "received": progress.length });
        uploads.lock().insert(id.to_owned(), progress);
        return Err(Refusal::new(Code::BlobUploadInvalid, detail));
    }
    // If the connection breaks here, the upload is lost and its client begins anew.
    receive(&storage.upload(id), &mut progress, body).await?;
    let length = progress.length;
    uploads.lock().insert(id.to_owned(), progress);
    Ok(accepted(StatusCode::ACCEPTED, name, id, length))
}

/// `PUT`: the last piece, which may be empty, and the digest of the whole.
pub(super) async fn finish(
    storage: &Storage,
    uploads: &Uploads,
    (name, id): (&str, &str),
    digest: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let mut progress = uploads.take(name, id)?;
    let file = storage.upload(id);
    receive(&file, &mut progress, body).await?;
    let sum = progress.sum.digest();
    if Digest::parse(digest).as_ref() != Some(&sum) {
        tokio::fs::remove_file(file).await?;
        let detail = json!({ "digest": digest, "received": sum.as_str() });
        return Err(Refusal::new(Code::DigestInvalid, detail));
    }
    storage.keep_blob(name, &sum, &file)?;
    Ok(kept(name, &sum))
}

/// `GET` of an upload: how much has arrived.
pub(super) fn progress(uploads: &Uploads, name: &str, id: &str) -> Result<Response, Refusal> {
    let progress = uploads.take(name, id)?;
    let length = progress.length;
    uploads.lock().insert(id.to_owned(), progress);
    Ok(accepted(StatusCode::NO_CONTENT, name, id, length))
}

/// `DELETE` of an upload: it is given up.
pub(super) async fn give_up(
    storage: &Storage,
    uploads: &Uploads,
    (name, id): (&str, &str),
) -> Result<Response, Refusal> {
    uploads.take(name, id)?;
    tokio::fs::remove_file(storage.upload(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an upload out while a request works on it: two at once would mix their bytes.
    fn take(&self, name: &str, id: &str) -> Result<Progress, Refusal> {
        let mut uploads = self.lock();
        let known = uploads
            .get(id)
            .is_some_and(|progress| progress.name == name);
        let progress = if known { uploads.remove(id) } else { None };
        progress.ok_or_else(|| Code::BlobUploadUnknown.into())
    }
}

async fn receive(file: &Path, progress: &mut Progress, body: Body) -> Result<(), Refusal> {
    let mut file = tokio::fs::OpenOptions::new()
        .append(true)
        .open(file)
        .await?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(std::io::Error::other)?;
        progress.sum.add(&chunk);
        progress.length += u64::try_from(chunk.len()).unwrap_or(0);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(())
}

fn kept(name: &str, digest: &Digest) -> Response {
    let location = [(header::LOCATION, format!("/v2/{name}/blobs/{digest}"))];
    let digest = [("Docker-Content-Digest", digest.to_string())];
    (StatusCode::CREATED, location, digest).into_response()
}

fn accepted(status: StatusCode, name: &str, id: &str, length: u64) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{name}/blobs/uploads/{id}")),
        (header::RANGE, format!("0-{}", length.saturating_sub(1))),
    ];
    (status, headers, [("Docker-Upload-UUID", id.to_owned())]).into_response()
}
