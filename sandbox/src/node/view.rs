//! A container's file tree as the host sees it: the root directory and what is mounted over it.
//!
//! With it the node knows before it starts a program whether that can be executed, and says so in
//! the words of the OCI runtime.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where things in a container lie on the host.
#[derive(Clone, Debug)]
pub(crate) struct View {
    root: PathBuf,
    /// Mount points in the container and what is mounted there.
    mounts: Vec<(PathBuf, PathBuf)>,
}

/// Why a program can't be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoProgram {
    /// A bare name that is in no directory of `PATH`.
    NotInPath,
    /// A path at which there is nothing.
    Missing,
    /// Something that is no executable file.
    Forbidden,
}

impl NoProgram {
    /// What runc says of it, after `unable to start container process: `.
    pub(crate) fn text(self, program: &str) -> String {
        match self {
            Self::NotInPath => format!("exec: \"{program}\": executable file not found in $PATH"),
            Self::Missing => {
                format!("exec: \"{program}\": stat {program}: no such file or directory")
            }
            Self::Forbidden => format!("exec: \"{program}\": permission denied"),
        }
    }
}

impl View {
    pub(crate) fn new(root: PathBuf, mut mounts: Vec<(PathBuf, PathBuf)>) -> Self {
        // The innermost mount decides.
        mounts.sort_by_key(|(at, _)| std::cmp::Reverse(at.components().count()));
        Self { root, mounts }
    }

    /// Where `program`, a command's first word, is found, if it can be executed.
    pub(crate) fn find(&self, program: &str, path: &str, cwd: &str) -> Result<PathBuf, NoProgram> {
        if program.contains('/') {
            let file = Path::new(cwd).join(program);
            return self.check_file(&file, NoProgram::Missing).map(|()| file);
        }
        let mut answer = NoProgram::NotInPath;
        for dir in path.split(':').filter(|dir| !dir.is_empty()) {
            let file = Path::new(dir).join(program);
            match self.check_file(&file, NoProgram::NotInPath) {
                Ok(()) => return Ok(file),
                Err(NoProgram::Forbidden) => answer = NoProgram::Forbidden,
                Err(_) => {}
            }
        }
        Err(answer)
    }

    fn check_file(&self, file: &Path, missing: NoProgram) -> Result<(), NoProgram> {
        let host = self.resolve(file).ok_or(missing)?;
        let metadata = fs::metadata(host).map_err(|_| missing)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            Ok(())
        } else {
            Err(NoProgram::Forbidden)
        }
    }

    /// Where a path of the container lies on the host, all links followed; None if it does not exist.
    pub(super) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        Some(self.on_host(&self.real(path)?))
    }

    /// A path of the container with all links followed; None if it does not exist.
    pub(super) fn real(&self, path: &Path) -> Option<PathBuf> {
        let mut left: VecDeque<OsString> = parts(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let host = self.on_host(&next);
            let metadata = fs::symlink_metadata(&host).ok()?;
            if !metadata.is_symlink() {
                at = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            let target = fs::read_link(&host).ok()?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        Some(at)
    }

    /// Where a path without links lies on the host.
    pub(super) fn on_host(&self, path: &Path) -> PathBuf {
        for (at, source) in &self.mounts {
            if let Ok(rest) = path.strip_prefix(at) {
                return if rest.as_os_str().is_empty() {
                    source.clone()
                } else {
                    source.join(rest)
                };
            }
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect()
}

/// Reads at most `limit` bytes of a file that a container has written.
pub(crate) fn read_start(file: &Path, limit: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(file) {
        let _ = file.take(limit).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
