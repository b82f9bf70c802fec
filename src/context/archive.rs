//! Entries to a compressed tar archive whose bytes depend on nothing but the entries.
//!
//! A tar header can hold the time and the owner of a file, and gzip's holds the time and the operating
//! system. These are left out, set to one value or made from the content (see [`super`]); names that
//! are too long for a header stand before it, as GNU tar writes them
//! (<https://www.gnu.org/software/tar/manual/html_node/Standard.html>).

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Seek as _, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use flate2::{Compression, Crc, GzBuilder, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::{
    ContextError,
    walk::{Entry, Kind, Seen, parent, shown, unreadable},
};

/// gzip's usual level. Another one would give other bytes, and so another hash, for the same content.
const LEVEL: u32 = 6;
/// gzip's number for an unknown operating system (RFC 1952, 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;
/// The longest target that a tar header can hold, in bytes.
const LONGEST_TARGET: usize = 100;
/// How much is read from a file at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// Times are made in a span that every format can hold (zip begins in 1980) and that is over: from
/// 1990 to 2020, in seconds since 1970. They are even, as zip's are.
const FIRST_TIME: u64 = 631_152_000;
const LAST_TIME: u64 = 1_577_836_800;

/// The time of an entry with this content: the same for equal content, and as good as always another
/// one for other content.
fn time(content: &Crc) -> u64 {
    FIRST_TIME + u64::from(content.sum()) % ((LAST_TIME - FIRST_TIME) / 2) * 2
}

fn time_of(bytes: &[u8]) -> u64 {
    let mut content = Crc::new();
    content.update(bytes);
    time(&content)
}

/// The times of folders. One changes, as in a file system, with the names of what is in it.
#[derive(Debug)]
pub(super) struct FolderTimes(HashMap<OsString, Crc>);

impl FolderTimes {
    /// Of the folders of these entries, which stand in their order.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut folders: HashMap<OsString, Crc> = HashMap::new();
        for entry in entries {
            let Some((folder, name)) = parent(&entry.path) else {
                continue;
            };
            let names = folders.entry(folder.to_owned()).or_default();
            names.update(name.as_bytes());
            names.update(b"/");
        }
        Self(folders)
    }

    fn time(&self, folder: &OsStr) -> u64 {
        self.0.get(folder).map_or(FIRST_TIME, time)
    }
}

/// A compressed tar archive that is being written to `W`.
pub(super) struct Archive<W: Write> {
    tar: Builder<GzEncoder<W>>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        let gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(UNKNOWN_SYSTEM)
            .write(out, Compression::new(LEVEL));
        Self {
            tar: Builder::new(gzip),
        }
    }

    /// Adds one entry; `root` is the folder that files are read from. `go_on` is asked with the
    /// number of bytes that were read since, whether to go on.
    pub(super) fn add(
        &mut self,
        root: &Path,
        entry: &Entry,
        folders: &FolderTimes,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), ContextError> {
        let path = entry.path.as_os_str();
        match &entry.kind {
            Kind::Folder { mode } => {
                let time = folders.time(path);
                let mut header = header(EntryType::Directory, *mode, 0, time);
                let mut path = path.to_owned();
                path.push("/");
                self.tar
                    .append_data(&mut header, path, io::empty())
                    .map_err(ContextError::Spool)
            }
            Kind::Link(target) => self.link(path, target).map_err(ContextError::Spool),
            Kind::Given {
                contents,
                executable,
            } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                let (size, time) = (contents.len() as u64, time_of(contents));
                let mut header = header(EntryType::Regular, mode, size, time);
                self.tar
                    .append_data(&mut header, path, contents.as_slice())
                    .map_err(ContextError::Spool)
            }
            Kind::File(seen) => self.file(root, path, seen, go_on),
        }
    }

    /// Writes the end, and gives back what was written to.
    pub(super) fn finish(self) -> io::Result<W> {
        self.tar.into_inner()?.finish()
    }

    fn link(&mut self, path: &OsStr, target: &OsStr) -> io::Result<()> {
        let time = time_of(target.as_bytes());
        let mut header = header(EntryType::Symlink, 0o777, 0, time);
        if target.len() > LONGEST_TARGET {
            return self.tar.append_link(&mut header, path, target);
        }
        // To the letter: `append_link` would tidy it up.
        header.set_link_name_literal(target.as_bytes())?;
        self.tar.append_data(&mut header, path, io::empty())
    }

    fn file(
        &mut self,
        root: &Path,
        path: &OsStr,
        seen: &Seen,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), ContextError> {
        let mut source = Source::open(root, path, seen, go_on)?;
        let time = source.time()?;
        let mut header = header(EntryType::Regular, seen.mode, seen.bytes, time);
        let written = self.tar.append_data(&mut header, path, &mut source);
        match (source.failure.take(), written) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(ContextError::Spool(error)),
            (None, Ok(())) => source.check_unchanged(time),
        }
    }
}

/// A header without owner. (A new one has neither names nor devices.)
fn header(kind: EntryType, mode: u32, bytes: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A file of the context as it is read: exactly the bytes that it had when the folder was.
///
/// `Builder` knows errors of one kind alone, and the writing may fail as well as the reading; so what
/// went wrong here is kept here.
struct Source<'a> {
    file: File,
    root: &'a Path,
    path: &'a OsStr,
    seen: &'a Seen,
    left: u64,
    content: Crc,
    go_on: &'a mut dyn FnMut(u64) -> bool,
    failure: Option<ContextError>,
}

impl<'a> Source<'a> {
    fn open(
        root: &'a Path,
        path: &'a OsStr,
        seen: &'a Seen,
        go_on: &'a mut dyn FnMut(u64) -> bool,
    ) -> Result<Self, ContextError> {
        let full = root.join(path);
        let file = match crate::files::open(&full) {
            Ok(file) => file,
            // It is gone, or has become a FIFO or a directory.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::IsADirectory
                ) =>
            {
                return Err(changed(path));
            }
            Err(source) => return Err(unreadable(full, source)),
        };
        let source = Self {
            file,
            root,
            path,
            seen,
            left: seen.bytes,
            content: Crc::new(),
            go_on,
            failure: None,
        };
        source.compare()?;
        Ok(source)
    }

    /// Whether the open file is the one that was seen, and as it was then.
    fn compare(&self) -> Result<(), ContextError> {
        let metadata = self
            .file
            .metadata()
            .map_err(|source| unreadable(self.root.join(self.path), source))?;
        if Seen::of(&metadata) != *self.seen {
            return Err(changed(self.path));
        }
        Ok(())
    }

    /// The time for the content, which is read once for it: a header stands before the content.
    fn time(&mut self) -> Result<u64, ContextError> {
        let mut chunk = vec![0; CHUNK];
        let mut left = self.seen.bytes;
        let mut content = Crc::new();
        while left > 0 {
            let read = match self.file.read(&mut chunk) {
                Ok(0) => return Err(changed(self.path)),
                Ok(read) => read.min(usize::try_from(left).unwrap_or(CHUNK)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(unreadable(self.root.join(self.path), source)),
            };
            content.update(chunk.get(..read).unwrap_or_default());
            left = left.saturating_sub(read as u64);
            if !(self.go_on)(0) {
                return Err(ContextError::Stopped);
            }
        }
        self.file
            .rewind()
            .map_err(|source| unreadable(self.root.join(self.path), source))?;
        Ok(time(&content))
    }

    /// To be asked at the end: nothing may have been written meanwhile.
    fn check_unchanged(&self, at: u64) -> Result<(), ContextError> {
        if self.left > 0 || time(&self.content) != at {
            return Err(changed(self.path));
        }
        self.compare()
    }

    fn fail(&mut self, failure: ContextError) -> io::Error {
        self.failure = Some(failure);
        io::ErrorKind::Other.into()
    }
}

impl io::Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let most = most.min(buffer.len());
        let Some(room) = buffer.get_mut(..most).filter(|room| !room.is_empty()) else {
            return Ok(0);
        };
        let read = match self.file.read(room) {
            Ok(0) => return Err(self.fail(changed(self.path))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(source) => {
                let path = self.root.join(self.path);
                return Err(self.fail(unreadable(path, source)));
            }
        };
        self.content.update(room.get(..read).unwrap_or_default());
        self.left = self.left.saturating_sub(read as u64);
        if !(self.go_on)(read as u64) {
            return Err(self.fail(ContextError::Stopped));
        }
        Ok(read)
    }
}

fn changed(path: &OsStr) -> ContextError {
    ContextError::Changed { path: shown(path) }
}
