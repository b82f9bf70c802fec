//! From a folder to the bytes that are built: equal content, bad input, large contexts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod bad_input;
mod content;
mod equal_bytes;
mod large;

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    ops::ControlFlow,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use berth::context::{ContextError, ContextSource, PackedContext, RenderedDockerfile, pack};
use tempfile::TempDir;

/// A folder of a test's own, which is gone with it.
struct Folder(TempDir);

impl Folder {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// An empty folder that no disk slows down, where the system has such a place.
    fn in_memory() -> Self {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| Self::empty(), Self)
    }

    /// A folder with a Dockerfile.
    fn new() -> Self {
        Self::empty().file("Dockerfile", "FROM scratch\n")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        // Whatever the umask.
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn program(self, path: &str, text: &str) -> Self {
        let folder = self.file(path, text);
        fs::set_permissions(folder.at(path), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.at(path)).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.at(path)).unwrap();
        self
    }

    fn source(&self) -> ContextSource {
        self.with_dockerfile("Dockerfile")
    }

    fn with_dockerfile(&self, dockerfile: impl Into<PathBuf>) -> ContextSource {
        ContextSource::Folder {
            folder: self.path().to_owned(),
            dockerfile: dockerfile.into(),
        }
    }

    fn with_template(&self, rendered: RenderedDockerfile) -> ContextSource {
        ContextSource::Template {
            folder: Some(self.path().to_owned()),
            rendered,
        }
    }

    fn pack(&self) -> PackedContext {
        packed(&self.source()).unwrap()
    }

    fn error(&self) -> ContextError {
        packed(&self.source()).unwrap_err()
    }
}

fn packed(source: &ContextSource) -> Result<PackedContext, ContextError> {
    pack(source, |_| ControlFlow::Continue(()))
}

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Folder,
    File(String),
    Program(String),
    Link(String),
}

fn file(text: &str) -> Item {
    Item::File(text.to_owned())
}

/// What is in the archive but for berth's own folder, read with checks of all that must not differ.
fn items(context: &PackedContext) -> BTreeMap<String, Item> {
    let mut items = all_items(context);
    items.retain(|path, _| path.split('/').next() != Some(".berth"));
    items
}

fn all_items(context: &PackedContext) -> BTreeMap<String, Item> {
    let gzip = flate2::read::GzDecoder::new(context.bytes().unwrap().as_ref());
    let mut archive = tar::Archive::new(gzip);
    let mut items = BTreeMap::new();
    let mut last = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let path = path.trim_end_matches('/').to_owned();
        assert!(path > last, "{path} comes after {last}");
        let header = entry.header().clone();
        let time = header.mtime().unwrap();
        assert!(
            (631_152_000..1_577_836_800).contains(&time) && time % 2 == 0,
            "{time}"
        );
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.username_bytes(), Some(&b""[..]));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let item = match (header.entry_type(), header.mode().unwrap()) {
            (tar::EntryType::Directory, 0o755) => Item::Folder,
            (tar::EntryType::Regular, 0o644) => Item::File(text),
            (tar::EntryType::Regular, 0o755) => Item::Program(text),
            (tar::EntryType::Symlink, 0o777) => {
                let target = entry.link_name_bytes().unwrap().into_owned();
                Item::Link(String::from_utf8(target).unwrap())
            }
            other => panic!("{path}: {other:?}"),
        };
        last.clone_from(&path);
        items.insert(path, item);
    }
    items
}

/// The mode and the time of each entry, by its path.
fn headers(context: &PackedContext) -> BTreeMap<Vec<u8>, (u32, u64)> {
    let gzip = flate2::read::GzDecoder::new(context.bytes().unwrap().as_ref());
    let mut archive = tar::Archive::new(gzip);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        let found = (header.mode().unwrap(), header.mtime().unwrap());
        (entry.path_bytes().into_owned(), found)
    });
    entries.collect()
}

/// The paths in the archive but for berth's own folder.
fn paths(context: &PackedContext) -> Vec<String> {
    items(context).into_keys().collect()
}
