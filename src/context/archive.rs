//! Entries to a compressed tar archive whose bytes depend on nothing but the entries.
//!
//! A tar header can hold the time, the owner and all rights of a file, and gzip's holds the time and
//! the operating system. These are left out or set to one value (see [`super`]); names that are too
//! long for a header stand before it, as GNU tar writes them
//! (<https://www.gnu.org/software/tar/manual/html_node/Standard.html>).

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::{
    ContextError,
    walk::{Entry, Kind, Seen, unreadable},
};

/// gzip's usual level. Another one would give other bytes, and so another hash, for the same content.
const LEVEL: u32 = 6;
/// gzip's number for an unknown operating system (RFC 1952, 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;
/// The longest target that a tar header can hold, in bytes.
const LONGEST_TARGET: usize = 100;
/// How much is read from a file at once, in bytes.
const CHUNK: usize = 64 * 1024;

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
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), ContextError> {
        let path = entry.path.as_str();
        match &entry.kind {
            Kind::Folder => {
                let mut header = header(EntryType::Directory, 0o755, 0);
                self.tar
                    .append_data(&mut header, format!("{path}/"), io::empty())
                    .map_err(ContextError::Spool)
            }
            Kind::Link(target) => self.link(path, target).map_err(ContextError::Spool),
            Kind::Given {
                contents,
                executable,
            } => {
                let mut header = file_header(contents.len() as u64, *executable);
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

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        if target.len() > LONGEST_TARGET {
            return self.tar.append_link(&mut header, path, target);
        }
        // To the letter: `append_link` would tidy it up.
        header.set_link_name_literal(target)?;
        self.tar.append_data(&mut header, path, io::empty())
    }

    fn file(
        &mut self,
        root: &Path,
        path: &str,
        seen: &Seen,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), ContextError> {
        let mut source = Source::open(root, path, seen, go_on)?;
        let mut header = file_header(seen.bytes, seen.executable);
        let written = self.tar.append_data(&mut header, path, &mut source);
        match (source.failure.take(), written) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(ContextError::Spool(error)),
            (None, Ok(())) => source.check_unchanged(),
        }
    }
}

fn file_header(bytes: u64, executable: bool) -> Header {
    let mode = if executable { 0o755 } else { 0o644 };
    header(EntryType::Regular, mode, bytes)
}

/// A header without time and owner. (A new one has neither names nor devices.)
fn header(kind: EntryType, mode: u32, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_mtime(0);
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
    path: &'a str,
    seen: &'a Seen,
    left: u64,
    go_on: &'a mut dyn FnMut(u64) -> bool,
    failure: Option<ContextError>,
}

impl<'a> Source<'a> {
    fn open(
        root: &'a Path,
        path: &'a str,
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

    /// To be asked at the end: nothing may have been written meanwhile.
    fn check_unchanged(&self) -> Result<(), ContextError> {
        if self.left > 0 {
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
        self.left = self.left.saturating_sub(read as u64);
        if !(self.go_on)(read as u64) {
            return Err(self.fail(ContextError::Stopped));
        }
        Ok(read)
    }
}

fn changed(path: &str) -> ContextError {
    ContextError::Changed {
        path: path.to_owned(),
    }
}
