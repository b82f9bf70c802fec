//! What is in a context's folder: every entry that is not ignored, in the order of its path's bytes.

use std::{
    collections::BTreeSet,
    fs::{self, DirEntry, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    ContextError, RESERVED_FOLDER, SpecialKind,
    ignore::{IgnoreFile, Verdict},
};

/// The right of a file's owner to run it. Git too keeps this one alone.
const OWNER_EXECUTES: u32 = 0o100;

/// Something in the context.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the context's folder, with `/` between the parts.
    pub(super) path: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder,
    File(Seen),
    /// A symbolic link, with its target.
    Link(String),
    /// A file that is not in the folder: the Dockerfile, or one that a template brought.
    Given {
        contents: Vec<u8>,
        executable: bool,
    },
}

/// What a file was when the folder was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) executable: bool,
    /// When it was last written, in seconds and nanoseconds. (Not its inode too: some file systems
    /// give a new number to a file that they had forgotten for a while.)
    written: (i64, i64),
}

impl Seen {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            executable: metadata.permissions().mode() & OWNER_EXECUTES != 0,
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of their paths' bytes, so a folder comes before what is in it.
    pub(super) entries: Vec<Entry>,
    /// Whether something was ignored.
    pub(super) has_ignored: bool,
}

/// A folder that is still to be read.
struct Open {
    /// Empty for the context's own.
    path: String,
    verdict: Verdict,
}

/// Reads the folder `root`, but for what `ignore` excludes. `go_on` is asked after each entry, with
/// its bytes, whether to go on.
///
/// Nothing is followed but folders, and each entry is looked at once.
///
/// # Errors
/// Bad entries, more than `most` entries, or [`ContextError::Stopped`].
pub(super) fn walk(
    root: &Path,
    ignore: &IgnoreFile,
    most: usize,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Found, ContextError> {
    let mut found = Found::default();
    // Folders that are excluded, but hold something that is not.
    let mut holders = BTreeSet::new();
    let mut open = vec![Open {
        path: String::new(),
        verdict: Verdict::default(),
    }];
    while let Some(folder) = open.pop() {
        for child in children(root, &folder.path)? {
            let name = child.file_name();
            let path = join(&folder.path, &name.to_string_lossy());
            let kind = child
                .file_type()
                .map_err(|source| unreadable(child.path(), source))?;
            let verdict = ignore.judge(&path, &folder.verdict);
            let (is_folder, is_utf8) = (kind.is_dir(), name.to_str().is_some());
            if verdict.is_excluded {
                found.has_ignored = true;
                if is_folder && is_utf8 && ignore.may_let_through(&path) {
                    open.push(Open { path, verdict });
                }
                continue;
            }
            if !is_utf8 {
                return Err(ContextError::NotUtf8 { path });
            }
            if folder.verdict.is_excluded {
                hold(&mut holders, &folder.path);
            }
            let entry = Entry {
                kind: look(&child, kind, &path)?,
                path: path.clone(),
            };
            let bytes = match &entry.kind {
                Kind::File(seen) => seen.bytes,
                _ => 0,
            };
            found.entries.push(entry);
            if found.entries.len() + holders.len() > most {
                let folder = root.to_owned();
                return Err(ContextError::TooManyFiles { folder, most });
            }
            if !go_on(bytes) {
                return Err(ContextError::Stopped);
            }
            if is_folder {
                open.push(Open { path, verdict });
            }
        }
    }
    found.entries.extend(holders.into_iter().map(|path| Entry {
        path,
        kind: Kind::Folder,
    }));
    sort(&mut found.entries);
    Ok(found)
}

/// Sorts by the paths' bytes; of folders that are there twice one is left.
pub(super) fn sort(entries: &mut Vec<Entry>) {
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
}

/// Notes that the folder, and those that it is in, are needed.
fn hold(holders: &mut BTreeSet<String>, folder: &str) {
    let mut folder = Some(folder);
    while let Some(path) = folder.filter(|path| !holders.contains(*path)) {
        holders.insert(path.to_owned());
        folder = path.rsplit_once('/').map(|(parent, _)| parent);
    }
}

/// The folder's entries in the order of their names, so that of two bad ones always the same is told.
fn children(root: &Path, folder: &str) -> Result<Vec<DirEntry>, ContextError> {
    let path = root.join(folder);
    let read = || -> io::Result<Vec<DirEntry>> {
        let mut children = fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>()?;
        children.sort_by_key(DirEntry::file_name);
        Ok(children)
    };
    read().map_err(|source| unreadable(path.clone(), source))
}

fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

fn look(child: &DirEntry, kind: FileType, path: &str) -> Result<Kind, ContextError> {
    if path == RESERVED_FOLDER {
        let path = path.to_owned();
        return Err(ContextError::Reserved { path });
    }
    let failed = |source| unreadable(child.path(), source);
    if kind.is_dir() {
        return Ok(Kind::Folder);
    }
    if kind.is_file() {
        // Of the entry itself: what has become a link since is seen when it is opened.
        return Ok(Kind::File(Seen::of(&child.metadata().map_err(failed)?)));
    }
    if kind.is_symlink() {
        let target = fs::read_link(child.path()).map_err(failed)?;
        let Some(target) = target.to_str() else {
            let path = format!("{path} -> {}", target.display());
            return Err(ContextError::NotUtf8 { path });
        };
        return Ok(Kind::Link(target.to_owned()));
    }
    Err(ContextError::Special {
        path: path.to_owned(),
        kind: special(kind),
    })
}

fn special(kind: FileType) -> SpecialKind {
    if kind.is_socket() {
        SpecialKind::Socket
    } else if kind.is_fifo() {
        SpecialKind::Fifo
    } else {
        SpecialKind::Device
    }
}

pub(super) fn unreadable(path: PathBuf, source: io::Error) -> ContextError {
    ContextError::Unreadable { path, source }
}
