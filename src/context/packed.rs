//! The packed context: its bytes, in memory or in a file, and what is to be said of them.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::{SpooledTempFile, spooled_tempfile};
use tokio::{
    io::{AsyncRead, ReadBuf},
    task::JoinHandle,
};

use crate::domain::ContextHash;

/// The most bytes that a ConfigMap can hold. The API server adds up the values of `data` and
/// `binaryData`, without their keys, the latter as they are before base64
/// (`ValidateConfigMap` in <https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/apis/core/validation/validation.go>).
/// So a context of this size fits as the one value of `binaryData`, and none of more does.
pub const CONFIG_MAP_MAX: u64 = 1024 * 1024;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// A context as a gzip-compressed tar archive, packed so that equal content has equal bytes.
///
/// Cheap to clone. A context of up to [`CONFIG_MAP_MAX`] bytes is in memory; a larger one is in a
/// file without a name, which is gone with the last clone and its readers, however the program ends.
#[derive(Debug, Clone)]
pub struct PackedContext {
    hash: ContextHash,
    size: u64,
    files: u64,
    unpacked_bytes: u64,
    dockerfile: Bytes,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Bytes),
    File(Arc<File>),
}

impl PackedContext {
    /// The SHA-256 of the compressed bytes.
    #[must_use]
    pub fn hash(&self) -> ContextHash {
        self.hash
    }

    /// The size of the archive, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many files and symbolic links are in it; the Dockerfile counts.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files
    }

    /// How many bytes the files have, before packing.
    #[must_use]
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// The text of the Dockerfile.
    #[must_use]
    pub fn dockerfile(&self) -> &[u8] {
        &self.dockerfile
    }

    /// Whether a ConfigMap can hold it, as `binaryData`.
    #[must_use]
    pub fn fits_config_map(&self) -> bool {
        self.size <= CONFIG_MAP_MAX
    }

    /// The bytes, when [`PackedContext::fits_config_map`]; otherwise use [`PackedContext::reader`].
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.place {
            Place::Memory(bytes) => Some(bytes),
            Place::File(_) => None,
        }
    }

    /// A reader of the bytes from the start. Any number of them may read at once.
    #[must_use]
    pub fn reader(&self) -> ContextReader {
        match &self.place {
            Place::Memory(bytes) => ContextReader {
                ready: bytes.clone(),
                file: None,
                at: self.size,
                pending: None,
            },
            Place::File(file) => ContextReader {
                ready: Bytes::new(),
                file: Some(file.clone()),
                at: 0,
                pending: None,
            },
        }
    }
}

/// Reads a packed context from its start to its end.
#[derive(Debug)]
pub struct ContextReader {
    /// What was read, and not yet given on.
    ready: Bytes,
    /// None when all is in memory.
    file: Option<Arc<File>>,
    /// Where in the file the next bytes are.
    at: u64,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
}

impl AsyncRead for ContextReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let Some(file) = self.file.clone() else {
                return Poll::Ready(Ok(()));
            };
            let at = self.at;
            let pending = self
                .pending
                .get_or_insert_with(|| tokio::task::spawn_blocking(move || chunk(&file, at)));
            let read = match Pin::new(pending).poll(cx) {
                Poll::Pending => return Poll::Pending,
                // Only if the runtime is being shut down.
                Poll::Ready(Err(_)) => Err(io::ErrorKind::Interrupted.into()),
                Poll::Ready(Ok(read)) => read,
            };
            self.pending = None;
            let read = read?;
            if read.is_empty() {
                self.file = None;
            }
            self.at += read.len() as u64;
            self.ready = read;
        }
        let most = buf.remaining().min(self.ready.len());
        buf.put_slice(&self.ready.split_to(most));
        Poll::Ready(Ok(()))
    }
}

/// The bytes of the file from `at` on: at most a chunk, and none at its end.
fn chunk(file: &File, at: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; CHUNK];
    loop {
        match file.read_at(&mut bytes, at) {
            Ok(read) => {
                bytes.truncate(read);
                return Ok(bytes.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where the archive is written to: hashed, counted, and kept in memory while it fits a ConfigMap.
pub(super) struct Spool {
    hash: Sha256,
    size: u64,
    kept: SpooledTempFile,
}

impl Spool {
    pub(super) fn new() -> Self {
        let most = usize::try_from(CONFIG_MAP_MAX).unwrap_or(usize::MAX);
        Self {
            hash: Sha256::new(),
            size: 0,
            kept: spooled_tempfile(most),
        }
    }

    /// What was written, as a context of `files` files that had `unpacked_bytes`.
    pub(super) fn into_packed(
        self,
        files: u64,
        unpacked_bytes: u64,
        dockerfile: Bytes,
    ) -> PackedContext {
        let place = match self.kept.into_inner() {
            tempfile::SpooledData::InMemory(cursor) => Place::Memory(cursor.into_inner().into()),
            tempfile::SpooledData::OnDisk(file) => Place::File(Arc::new(file)),
        };
        PackedContext {
            hash: ContextHash::new(self.hash.finalize().into()),
            size: self.size,
            files,
            unpacked_bytes,
            dockerfile,
            place,
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.kept.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.kept.flush()
    }
}
