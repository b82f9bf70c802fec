//! From a folder and a Dockerfile to the packed context.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    ContextError, DOCKERFILE_PATH, IGNORE_PATH, PackedContext, RESERVED_FOLDER,
    archive::{Archive, FolderTimes},
    dockerfile,
    ignore::IgnoreFile,
    packed::Spool,
    walk::{self, Entry, Kind, unreadable, walk},
};
use crate::domain::{RenderedDockerfile, TemplateFile};

/// The most files, links and folders that a context may have.
pub const MOST_ENTRIES: usize = 1_000_000;

/// The file of a template that says what is ignored, when the user's folder does not.
const TEMPLATE_IGNORES: &str = ".dockerignore";

/// The mode of folders that are not the user's.
const OPEN_FOLDER: u32 = 0o755;

/// What a context is packed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A folder and a Dockerfile.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The Dockerfile: relative to the folder, or anywhere by an absolute path.
        dockerfile: PathBuf,
    },
    /// A Dockerfile template that was filled in.
    Template {
        /// The folder of the user's own files, if there are any.
        folder: Option<PathBuf>,
        /// The Dockerfile, and the files that come with it.
        rendered: RenderedDockerfile,
    },
}

/// How far the packing is. While the folder is being read the totals grow, then what is done does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackProgress {
    /// Entries (files, links and folders) that are packed.
    pub entries: u64,
    /// Entries that were found.
    pub entries_total: u64,
    /// Bytes of files that are packed, before compression.
    pub bytes: u64,
    /// Bytes of the files that were found.
    pub bytes_total: u64,
}

/// Packs a context. `progress` is told after each entry and each chunk of a file, and stops the
/// packing with `Break`.
///
/// It blocks; [`pack_in_background`] is for asynchronous callers.
///
/// # Errors
/// When the folder can't become a context; [`ContextError::Stopped`] when `progress` said so.
pub fn pack(
    source: &ContextSource,
    mut progress: impl FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<PackedContext, ContextError> {
    let mut state = PackProgress::default();
    let plan = plan(source, &mut |bytes| {
        state.entries_total += 1;
        state.bytes_total += bytes;
        progress(state).is_continue()
    })?;
    state.entries_total = plan.entries.len() as u64;
    write(&plan, state, progress)
}

/// Packs a context on a thread for blocking work. If the future is dropped, the packing stops.
///
/// # Errors
/// As [`pack`]; nothing but the drop stops it, so [`ContextError::Stopped`] is seen only when the
/// runtime is being shut down.
pub async fn pack_in_background(
    source: ContextSource,
    mut progress: impl FnMut(PackProgress) + Send + 'static,
) -> Result<PackedContext, ContextError> {
    let guard = StopOnDrop::default();
    let is_stopped = guard.0.clone();
    let packing = tokio::task::spawn_blocking(move || {
        pack(&source, |state| {
            if is_stopped.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            progress(state);
            ControlFlow::Continue(())
        })
    });
    packing.await.unwrap_or(Err(ContextError::Stopped))
}

#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What will be written.
struct Plan<'a> {
    root: &'a Path,
    entries: Vec<Entry>,
    dockerfile: Vec<u8>,
}

fn plan<'a>(
    source: &'a ContextSource,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Plan<'a>, ContextError> {
    let (root, mut entries, dockerfile) = match source {
        ContextSource::Folder { folder, dockerfile } => {
            check_folder(folder)?;
            // First, since a folder without a Dockerfile may be anything, and large.
            let text = dockerfile::read(folder, dockerfile)?;
            let ignored = dockerfile::ignored_beside(folder, dockerfile)?;
            let entries = walk(folder, &ignored, MOST_ENTRIES, go_on)?;
            (folder.as_path(), entries, text)
        }
        ContextSource::Template { folder, rendered } => {
            let own = match folder {
                Some(folder) => own_files(folder, rendered, go_on)?,
                None => Vec::new(),
            };
            let root = folder.as_deref().unwrap_or(Path::new(""));
            let text = rendered.text.clone().into_bytes();
            (root, with_template_files(own, rendered)?, text)
        }
    };
    entries.extend(reserved(&dockerfile));
    walk::sort(&mut entries);
    Ok(Plan {
        root,
        entries,
        dockerfile,
    })
}

fn check_folder(folder: &Path) -> Result<(), ContextError> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(ContextError::NotAFolder {
            folder: folder.to_owned(),
        }),
        Err(error) if dockerfile::is_missing(&error) => Err(ContextError::Missing {
            folder: folder.to_owned(),
        }),
        Err(source) => Err(unreadable(folder.to_owned(), source)),
    }
}

/// What is in the folder that goes with a template; it may be nothing.
fn own_files(
    folder: &Path,
    rendered: &RenderedDockerfile,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Vec<Entry>, ContextError> {
    check_folder(folder)?;
    let ignored = match (
        dockerfile::ignored_in(folder)?,
        rendered.files.get(TEMPLATE_IGNORES),
    ) {
        (Some(own), _) => own,
        (None, Some(file)) => dockerfile::parse(Path::new(TEMPLATE_IGNORES), &file.contents)?,
        (None, None) => IgnoreFile::default(),
    };
    walk(folder, &ignored, MOST_ENTRIES, go_on)
}

/// Adds the template's files to the user's own. A folder of the template's comes as a whole, or not
/// at all when the user has an entry of that name; so does a file.
fn with_template_files(
    mut own: Vec<Entry>,
    rendered: &RenderedDockerfile,
) -> Result<Vec<Entry>, ContextError> {
    let taken: HashSet<OsString> = own
        .iter()
        .filter(|entry| walk::parent(&entry.path).is_none())
        .map(|entry| entry.path.clone())
        .collect();
    for (path, file) in &rendered.files {
        let first = path.split('/').next().unwrap_or_default();
        if first == RESERVED_FOLDER {
            let path = path.clone();
            return Err(ContextError::Reserved { path });
        }
        if path == TEMPLATE_IGNORES || taken.contains(OsStr::new(first)) {
            continue;
        }
        for (end, _) in path.match_indices('/') {
            own.push(Entry {
                path: path.get(..end).unwrap_or_default().into(),
                kind: Kind::Folder { mode: OPEN_FOLDER },
            });
        }
        own.push(given(path, file.clone()));
    }
    Ok(own)
}

fn given(path: &str, file: TemplateFile) -> Entry {
    Entry {
        path: path.into(),
        kind: Kind::Given {
            contents: file.contents,
            executable: file.executable,
        },
    }
}

/// The Dockerfile, and the file that keeps it out of the image's reach.
fn reserved(dockerfile: &[u8]) -> [Entry; 3] {
    let file = |contents| TemplateFile {
        contents,
        executable: false,
    };
    [
        Entry {
            path: RESERVED_FOLDER.into(),
            kind: Kind::Folder { mode: OPEN_FOLDER },
        },
        given(DOCKERFILE_PATH, file(dockerfile.to_owned())),
        given(
            IGNORE_PATH,
            file(format!("{RESERVED_FOLDER}\n").into_bytes()),
        ),
    ]
}

fn write(
    plan: &Plan<'_>,
    mut state: PackProgress,
    mut progress: impl FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<PackedContext, ContextError> {
    let mut archive = Archive::new(Spool::new());
    let folders = FolderTimes::new(&plan.entries);
    let (mut files, mut unpacked_bytes) = (0, 0);
    for entry in &plan.entries {
        archive.add(plan.root, entry, &folders, &mut |bytes| {
            state.bytes += bytes;
            progress(state).is_continue()
        })?;
        state.entries += 1;
        unpacked_bytes += match &entry.kind {
            Kind::Folder { .. } | Kind::Link(_) => 0,
            Kind::File(seen) => seen.bytes,
            Kind::Given { contents, .. } => contents.len() as u64,
        };
        files += u64::from(!matches!(entry.kind, Kind::Folder { .. }));
        if progress(state).is_break() {
            return Err(ContextError::Stopped);
        }
    }
    let spool = archive.finish().map_err(ContextError::Spool)?;
    let dockerfile = plan.dockerfile.clone().into();
    Ok(spool.into_packed(files, unpacked_bytes, dockerfile))
}
