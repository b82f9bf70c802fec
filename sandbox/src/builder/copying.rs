//! `COPY` and `ADD`: which files, and where to. Follows Kaniko, which follows Docker but for a few
//! corners; see `pkg/util/command_util.go` there.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::fault::{Calling as _, Cause, Fault, Outcome};
use super::glob;
use super::ignore::Ignore;
use super::tree::{Owner, Tree, clean};
use super::unpack;

/// Where files come from.
pub(crate) struct Origin<'a> {
    pub(crate) root: &'a Path,
    /// Which of them take no part.
    pub(crate) ignore: &'a Ignore,
    /// Whose they were, if that is to stay: the tree that they were part of.
    pub(crate) owners: Option<&'a Tree>,
}

/// What files become.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// `None` leaves the owner.
    pub(crate) owner: Option<Owner>,
    /// `None` leaves the mode.
    pub(crate) mode: Option<u32>,
}

impl Origin<'_> {
    /// The full path of a source. A `..` is taken at its word, as Kaniko does.
    pub(crate) fn full(&self, source: &str) -> PathBuf {
        clean(Path::new(&format!("{}/{source}", self.root.display())))
    }

    /// Finds what the sources of a command name, and whether the destination can hold it.
    /// Wildcards are looked up; nothing that fits is no error.
    pub(crate) fn find(
        &self,
        tree: &Tree,
        sources: &[String],
        destination: &str,
    ) -> Outcome<Vec<String>> {
        let wild = sources.iter().any(|source| is_wild(source));
        let found = if wild {
            self.wildcards(sources)?
        } else {
            sources.to_vec()
        };
        let several = Fault::said(
            "when specifying multiple sources in a COPY command, destination must be a \
             directory and end in '/'",
        );
        let folder = is_folder(tree, destination);
        let counted = |path: &str| !self.ignore.excludes(Path::new(path.trim_matches('/')));
        if !wild && !folder && found.iter().filter(|path| counted(path)).count() > 1 {
            return Err(several);
        }
        if let [one] = found.as_slice() {
            let full = self.full(one);
            return match fs::symlink_metadata(&full) {
                Ok(_) => Ok(found),
                Err(_) => Err(Fault::new(Cause::NoSource {
                    path: full.display().to_string(),
                    name: one.clone(),
                })),
            };
        }
        let mut files = 0;
        for source in &found {
            files += self.below(source)?.len();
        }
        if files > 1 && !folder {
            Err(several)
        } else {
            Ok(found)
        }
    }

    fn wildcards(&self, sources: &[String]) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        let all = walk(self.root).calling("lstat", self.root)?;
        for source in sources {
            let pattern = clean(Path::new(source.trim_start_matches('/')));
            let pattern = pattern.to_string_lossy();
            for path in &all {
                let name = path.strip_prefix(self.root).unwrap_or(path);
                let name = name.to_string_lossy();
                if !name.is_empty() && (glob::matches(&pattern, &name, false) || pattern == name) {
                    found.push(name.into_owned());
                }
            }
        }
        Ok(found)
    }

    /// All that a source names, itself included, without what is ignored.
    pub(crate) fn below(&self, source: &str) -> Outcome<Vec<PathBuf>> {
        let full = self.full(source);
        let found = walk(&full).map_err(|error| {
            let fault = Fault::system("lstat", &full, &error);
            match fault.cause {
                Cause::Said(words) => Fault::said(format!("failed to get relative files: {words}")),
                _ => fault,
            }
        })?;
        let kept = |path: &PathBuf| match path.strip_prefix(self.root) {
            Ok(name) => !self.ignore.excludes(name),
            Err(_) => true,
        };
        Ok(found.into_iter().filter(kept).collect())
    }

    /// Copies one source; the paths of the tree that were written.
    pub(crate) fn copy(
        &self,
        tree: &mut Tree,
        source: &str,
        destination: &Path,
        wish: Wish,
    ) -> Outcome<Vec<PathBuf>> {
        let full = self.full(source);
        let mut written = Vec::new();
        for path in self.below(source)? {
            let to = match path.strip_prefix(&full) {
                Ok(rest) if !rest.as_os_str().is_empty() => destination.join(rest),
                _ => destination.to_owned(),
            };
            let to = clean(&to);
            let was = self.owners.map(|owners| {
                let inside = path.strip_prefix(owners.root()).unwrap_or(&path);
                owners.owner(&Path::new("/").join(inside))
            });
            let owner = wish.owner.or(was).unwrap_or((0, 0));
            if put(tree, &path, &to, wish.mode).calling("copy", &path)? {
                tree.own(&to, owner);
            }
            written.push(to);
        }
        Ok(written)
    }
}

/// Copies a file, a link or a folder by itself; whether it made something new.
fn put(tree: &Tree, from: &Path, to: &Path, mode: Option<u32>) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(from)?;
    let real = tree.real(to, metadata.is_dir());
    if metadata.is_dir() && real.is_dir() {
        return Ok(false);
    }
    if let Some(parent) = real.parent() {
        fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        unpack::remove(&real)?;
        symlink(fs::read_link(from)?, &real)?;
        return Ok(true);
    }
    if metadata.is_dir() {
        fs::create_dir_all(&real)?;
    } else if metadata.is_file() {
        unpack::remove(&real)?;
        fs::copy(from, &real)?;
    } else {
        return Ok(false);
    }
    let mode = mode.unwrap_or(metadata.permissions().mode()) & 0o7777;
    fs::set_permissions(&real, Permissions::from_mode(mode))?;
    Ok(true)
}

fn walk(from: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![from.to_owned()];
    while let Some(path) = todo.pop() {
        if fs::symlink_metadata(&path)?.is_dir() {
            let mut names = fs::read_dir(&path)?
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            todo.extend(names.into_iter().rev());
        }
        found.push(path);
    }
    Ok(found)
}

/// Whether a source has wildcards.
pub(crate) fn is_wild(source: &str) -> bool {
    source.contains(['*', '?', '['])
}

fn is_folder(tree: &Tree, path: &str) -> bool {
    match fs::metadata(tree.real(Path::new(path), true)) {
        Ok(found) => found.is_dir(),
        Err(_) => path.ends_with('/') || path == ".",
    }
}

/// Where a source goes: into a destination that is a folder, or onto it.
pub(crate) fn destination(tree: &Tree, full: &Path, destination: &str, cwd: &str) -> PathBuf {
    let mut to = destination.to_owned();
    if !to.starts_with('/') {
        to = format!("{}/{to}", cwd.trim_end_matches('/'));
        if destination.ends_with('.') {
            to.push('/');
        }
    }
    let name = match fs::symlink_metadata(full) {
        Ok(found) if found.is_dir() => None,
        _ => full.file_name(),
    };
    let to = match name {
        Some(name) if is_folder(tree, &to) => Path::new(&to).join(name),
        _ => PathBuf::from(to),
    };
    // A link on the way is followed, so that the layer names what was really written.
    tree.resolve(&clean(&to), name.is_none())
}

/// The archive that a file is, if `ADD` unpacks it.
pub(crate) fn archive(path: &Path) -> Outcome<Option<Box<dyn io::Read>>> {
    let open = || File::open(path).calling("open", path);
    if !path.is_file() {
        return Ok(None);
    }
    let mut head = Vec::new();
    open()?
        .take(512)
        .read_to_end(&mut head)
        .calling("read", path)?;
    if head.starts_with(b"BZh") || head.starts_with(b"\xfd7zXZ") {
        return Err(Fault::said(
            "this stand-in unpacks no bzip2 and no xz archives",
        ));
    }
    let packed = head.starts_with(b"\x1f\x8b");
    if packed {
        head.clear();
        let unpacked = MultiGzDecoder::new(open()?)
            .take(512)
            .read_to_end(&mut head);
        if unpacked.is_err() {
            return Ok(None);
        }
    }
    if head.get(257..262) != Some(b"ustar".as_slice()) {
        return Ok(None);
    }
    Ok(Some(if packed {
        Box::new(MultiGzDecoder::new(open()?))
    } else {
        Box::new(open()?)
    }))
}

#[cfg(test)]
mod tests;
