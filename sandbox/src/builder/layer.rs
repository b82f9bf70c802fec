//! Writing layers: a sorted archive of what changed, packed, with its digests.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::image::{Layer, Source, named};
use super::tree::Tree;

/// What a layer holds: paths of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: BTreeSet<PathBuf>,
    pub(crate) removed: BTreeSet<PathBuf>,
}

/// Whose times the archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// Each file's own.
    Own,
    /// None, so that the same files give the same bytes.
    None,
}

/// Writes a layer to a new file in `dir`.
pub(crate) fn write(tree: &Tree, changes: &Changes, times: Times, dir: &Path) -> io::Result<Layer> {
    fs::create_dir_all(dir)?;
    let file = tempfile::Builder::new().tempfile_in(dir)?;
    let (file, path) = file.keep().map_err(|error| error.error)?;
    let packed = GzEncoder::new(Sum::new(file), Compression::fast());
    let mut archive = Archive {
        tree,
        times,
        builder: Builder::new(Sum::new(packed)),
        done: BTreeSet::from([PathBuf::from("/")]),
        links: HashMap::new(),
    };
    for path in &changes.removed {
        archive.remove(path)?;
    }
    for path in &changes.added {
        archive.add(path)?;
    }
    let (packed, diff_id, _) = archive.builder.into_inner()?.finish();
    let (_, digest, size) = packed.finish()?.finish();
    Ok(Layer {
        digest,
        diff_id,
        size,
        source: Source::File(path),
    })
}

struct Archive<'a, W: Write> {
    tree: &'a Tree,
    times: Times,
    builder: Builder<W>,
    done: BTreeSet<PathBuf>,
    /// Files with several names, by their number on the disk.
    links: HashMap<u64, PathBuf>,
}

impl<W: Write> Archive<'_, W> {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        self.add_parents(path)?;
        if self.done.insert(path.to_owned()) {
            self.append(path)?;
        }
        Ok(())
    }

    fn add_parents(&mut self, path: &Path) -> io::Result<()> {
        let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents {
            if self.done.insert(parent.to_owned()) {
                self.append(parent)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, path: &Path) -> io::Result<()> {
        let real = self.tree.real(path, false);
        let metadata = fs::symlink_metadata(&real)?;
        let kind = metadata.file_type();
        let mut header = self.header(path, &metadata);
        let name = path.strip_prefix("/").unwrap_or(path);
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return self
                .builder
                .append_link(&mut header, name, fs::read_link(&real)?);
        }
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            return self
                .builder
                .append_data(&mut header, name.join(""), io::empty());
        }
        if kind.is_socket() || kind.is_block_device() || kind.is_char_device() || kind.is_fifo() {
            return Ok(());
        }
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&metadata.ino()) {
                header.set_entry_type(EntryType::Link);
                return self.builder.append_link(&mut header, name, first);
            }
            self.links.insert(metadata.ino(), name.to_owned());
        }
        header.set_entry_type(EntryType::Regular);
        header.set_size(metadata.len());
        self.builder
            .append_data(&mut header, name, File::open(&real)?)
    }

    fn header(&self, path: &Path, metadata: &Metadata) -> Header {
        let mut header = Header::new_gnu();
        let (uid, gid) = self.tree.owner(path);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mode(metadata.mode() & 0o7777);
        header.set_size(0);
        header.set_mtime(match self.times {
            Times::Own => u64::try_from(metadata.mtime()).unwrap_or_default(),
            Times::None => 0,
        });
        header
    }

    /// An empty file that says that another one is gone.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        if !self.tree.real(parent, false).is_dir() {
            return Ok(());
        }
        let mut mark = std::ffi::OsString::from(".wh.");
        mark.push(name);
        let mark = parent.join(mark);
        self.add_parents(&mark)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0);
        let mark = mark.strip_prefix("/").unwrap_or(&mark);
        self.builder.append_data(&mut header, mark, io::empty())
    }
}

/// Passes bytes on and sums them up.
struct Sum<W> {
    to: W,
    hash: Sha256,
    size: u64,
}

impl<W> Sum<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// Where it went, its digest, and how many bytes it was.
    fn finish(self) -> (W, String, u64) {
        (self.to, named(&self.hash.finalize()), self.size)
    }
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        if let Some(written) = bytes.get(..count) {
            self.hash.update(written);
        }
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
