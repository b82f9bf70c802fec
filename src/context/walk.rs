//! What is in a context's folder: every entry that is not ignored, in the order of its path's bytes.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, DirEntry, FileType, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use super::{
    ContextError, RESERVED_FOLDER, SpecialKind,
    ignore::{IgnoreFile, Verdict},
};

/// The bits of a mode that are not the kind: all rights, set-user-id, set-group-id and sticky.
const RIGHTS: u32 = 0o7777;

/// Something in the context.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the context's folder, with `/` between the parts. Not always UTF-8.
    pub(super) path: OsString,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder {
        mode: u32,
    },
    File(Seen),
    /// A symbolic link, with its target, which may be anywhere or nowhere.
    Link(OsString),
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
    pub(super) mode: u32,
    /// When it was last written, in seconds and nanoseconds. (Not its inode too: some file systems
    /// give a new number to a file that they had forgotten for a while.)
    written: (i64, i64),
}

impl Seen {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            mode: rights(metadata),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn rights(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & RIGHTS
}

/// A folder that is still to be read.
struct Open {
    /// Empty for the context's own.
    path: OsString,
    verdict: Verdict,
}

/// Reads the folder `root`, but for what `ignore` excludes. `go_on` is asked after each entry, with
/// its bytes, whether to go on. The entries are in the order of their paths' bytes, so a folder comes
/// before what is in it.
///
/// Nothing is followed but folders, and each entry is looked at once. A folder that is excluded is
/// passed over when it may not be read, as Docker does: nothing of it is wanted for sure.
///
/// # Errors
/// Bad entries, more than `most` entries, or [`ContextError::Stopped`].
pub(super) fn walk(
    root: &Path,
    ignore: &IgnoreFile,
    most: usize,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Vec<Entry>, ContextError> {
    let mut entries = Vec::new();
    // Folders that are excluded, but hold something that is not.
    let mut holders = BTreeSet::new();
    let mut open = vec![Open {
        path: OsString::new(),
        verdict: Verdict::default(),
    }];
    while let Some(folder) = open.pop() {
        let children = match children(root, &folder.path) {
            Err(ContextError::Unreadable { source, .. })
                if folder.verdict.is_excluded
                    && source.kind() == io::ErrorKind::PermissionDenied =>
            {
                continue;
            }
            children => children?,
        };
        for child in children {
            let path = join(&folder.path, &child.file_name());
            let text = path.to_string_lossy();
            let kind = child
                .file_type()
                .map_err(|source| unreadable(child.path(), source))?;
            let verdict = ignore.judge(&text, &folder.verdict);
            let is_folder = kind.is_dir();
            if verdict.is_excluded {
                if is_folder && ignore.may_let_through(&text) {
                    open.push(Open { path, verdict });
                }
                continue;
            }
            if folder.verdict.is_excluded {
                hold(&mut holders, &folder.path);
            }
            let kind = look(&child, kind, &path)?;
            let bytes = match &kind {
                Kind::File(seen) => seen.bytes,
                _ => 0,
            };
            entries.push(Entry {
                path: path.clone(),
                kind,
            });
            if entries.len() + holders.len() > most {
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
    for path in holders {
        let full = root.join(&path);
        let metadata = fs::metadata(&full).map_err(|source| unreadable(full, source))?;
        let mode = rights(&metadata);
        let kind = Kind::Folder { mode };
        entries.push(Entry { path, kind });
    }
    sort(&mut entries);
    Ok(entries)
}

/// Sorts by the paths' bytes; of folders that are there twice one is left.
pub(super) fn sort(entries: &mut Vec<Entry>) {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
}

/// Notes that the folder, and those that it is in, are needed.
fn hold(holders: &mut BTreeSet<OsString>, folder: &OsStr) {
    let mut folder = Some(folder);
    while let Some(path) = folder.filter(|path| !holders.contains(*path)) {
        holders.insert(path.to_owned());
        folder = parent(path).map(|(parent, _)| parent);
    }
}

/// The folder that an entry is in, and its name there; none for one of the context's own folder.
pub(super) fn parent(path: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = path.as_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'/')?;
    let (folder, name) = bytes.split_at_checked(at)?;
    Some((
        OsStr::from_bytes(folder),
        OsStr::from_bytes(name.get(1..).unwrap_or_default()),
    ))
}

/// The path for a message: what is not UTF-8 is shown as a replacement character.
pub(super) fn shown(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}

/// The folder's entries in the order of their names, so that of two bad ones always the same is told.
fn children(root: &Path, folder: &OsStr) -> Result<Vec<DirEntry>, ContextError> {
    let path = root.join(folder);
    let read = || -> io::Result<Vec<DirEntry>> {
        let mut children = fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>()?;
        children.sort_by_key(DirEntry::file_name);
        Ok(children)
    };
    read().map_err(|source| unreadable(path.clone(), source))
}

fn join(folder: &OsStr, name: &OsStr) -> OsString {
    if folder.is_empty() {
        return name.to_owned();
    }
    let mut path = folder.to_owned();
    path.push("/");
    path.push(name);
    path
}

fn look(child: &DirEntry, kind: FileType, path: &OsStr) -> Result<Kind, ContextError> {
    if path == RESERVED_FOLDER {
        let path = shown(path);
        return Err(ContextError::Reserved { path });
    }
    let failed = |source| unreadable(child.path(), source);
    // Of the entry itself: what has become a link since is seen when it is opened.
    let metadata = || child.metadata().map_err(failed);
    if kind.is_dir() {
        let mode = rights(&metadata()?);
        return Ok(Kind::Folder { mode });
    }
    if kind.is_file() {
        return Ok(Kind::File(Seen::of(&metadata()?)));
    }
    if kind.is_symlink() {
        let target = fs::read_link(child.path()).map_err(failed)?;
        return Ok(Kind::Link(target.into_os_string()));
    }
    Err(ContextError::Special {
        path: shown(path),
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
