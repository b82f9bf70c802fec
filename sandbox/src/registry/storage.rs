//! Where the registry keeps things: every content once, and for each repository what it may show of
//! that, all as files.
//!
//! ```text
//! blobs/HEX                                 the bytes, manifests too
//! uploads/ID                                what has arrived of an upload
//! repositories/NAME/_blobs/HEX              the repository has this blob
//! repositories/NAME/_manifests/HEX          … this manifest; the file holds its media type
//! repositories/NAME/_tags/TAG               the digest that the tag means
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::digest::Digest;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    dir: PathBuf,
}

/// A manifest as it was pushed.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Storage {
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        for part in ["blobs", "uploads", "repositories"] {
            fs::create_dir_all(dir.join(part))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Whether anything was ever pushed to the repository.
    pub(super) fn has_repository(&self, name: &str) -> bool {
        self.repository(name).join("_manifests").is_dir()
    }

    /// The file of a blob that the repository has.
    pub(super) fn blob(&self, name: &str, digest: &Digest) -> Option<PathBuf> {
        let linked = self.repository(name).join("_blobs").join(digest.hex());
        linked.exists().then(|| self.content(digest))
    }

    /// Makes what is at `file` a blob of the repository.
    pub(super) fn keep_blob(&self, name: &str, digest: &Digest, file: &Path) -> io::Result<()> {
        fs::rename(file, self.content(digest))?;
        self.link_blob(name, digest)
    }

    /// Shows a blob in a repository, too.
    pub(super) fn link_blob(&self, name: &str, digest: &Digest) -> io::Result<()> {
        write(
            &self.repository(name).join("_blobs").join(digest.hex()),
            b"",
        )
    }

    pub(super) fn upload(&self, id: &str) -> PathBuf {
        self.dir.join("uploads").join(id)
    }

    /// A manifest by tag or digest.
    pub(super) fn manifest(&self, name: &str, reference: &str) -> Option<Manifest> {
        let repository = self.repository(name);
        let digest = Digest::parse(reference).or_else(|| {
            let tagged = fs::read_to_string(repository.join("_tags").join(reference)).ok()?;
            Digest::parse(&tagged)
        })?;
        let media_type = repository.join("_manifests").join(digest.hex());
        Some(Manifest {
            media_type: fs::read_to_string(media_type).ok()?,
            bytes: fs::read(self.content(&digest)).ok()?,
            digest,
        })
    }

    /// Keeps a manifest, and what its tag means from now on.
    pub(super) fn keep_manifest(
        &self,
        name: &str,
        tag: Option<&str>,
        manifest: &Manifest,
    ) -> io::Result<()> {
        let repository = self.repository(name);
        let hex = manifest.digest.hex();
        write(&self.content(&manifest.digest), &manifest.bytes)?;
        write(
            &repository.join("_manifests").join(hex),
            manifest.media_type.as_bytes(),
        )?;
        match tag {
            Some(tag) => write(
                &repository.join("_tags").join(tag),
                manifest.digest.as_str().as_bytes(),
            ),
            None => Ok(()),
        }
    }

    /// The repository's tags in order.
    pub(super) fn tags(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.repository(name).join("_tags"));
        let mut tags: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // Files that are being written begin with a dot, tags never do.
            .filter(|tag| !tag.starts_with('.'))
            .collect();
        tags.sort_unstable();
        tags
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs").join(digest.hex())
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.dir.join("repositories").join(name)
    }
}

/// Writes a file as a whole: who reads at the same time sees the old one or the new one.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".{}", berth_objects::ids::new_uid()));
    fs::write(&draft, bytes)?;
    fs::rename(draft, file)
}
