//! Paths of a container that have to exist on the host: made, without ever leaving the root by a
//! link that the image or an earlier run has put there.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::view::View;

/// More links that lead to nothing are a loop.
const MAX_LINKS: u32 = 40;

/// A place in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// As the container knows it, with no links in it.
    pub(super) path: PathBuf,
    /// The same place on the host.
    pub(super) host: PathBuf,
}

/// A directory in a root, made with all above it if it is missing.
pub(super) fn directory(root: &Path, path: &Path) -> io::Result<Inside> {
    directory_in(&View::new(root.to_owned(), Vec::new()), path)
}

/// The same in a container's whole tree.
pub(super) fn directory_in(view: &View, path: &Path) -> io::Result<Inside> {
    let at = make(view, path, MAX_LINKS)?;
    let host = view.on_host(&at);
    if host.is_dir() {
        return Ok(Inside { path: at, host });
    }
    Err(io::Error::new(
        io::ErrorKind::NotADirectory,
        format!("{} is not a directory", path.display()),
    ))
}

/// Makes what is missing; a link that leads to nothing gets what it leads to.
fn make(view: &View, path: &Path, links: u32) -> io::Result<PathBuf> {
    let mut at = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => {
                let next = at.join(name);
                let host = view.on_host(&next);
                at = match (view.real(&next), fs::read_link(&host)) {
                    (Some(real), _) => real,
                    (None, Ok(target)) if links > 0 => make(view, &at.join(target), links - 1)?,
                    _ => {
                        fs::create_dir(host)?;
                        next
                    }
                };
            }
            Component::ParentDir => {
                at.pop();
            }
            _ => {}
        }
    }
    Ok(at)
}

/// A place in a directory of the container, which is made; what is at the place is left alone.
pub(super) fn place(root: &Path, path: &Path) -> io::Result<Inside> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} names no file", path.display()),
        )
    })?;
    let parent = directory(root, path.parent().unwrap_or(Path::new("/")))?;
    Ok(Inside {
        path: parent.path.join(name),
        host: parent.host.join(name),
    })
}

/// The same, with links at the place itself followed as far as they lead to something.
pub(super) fn target(root: &Path, path: &Path) -> io::Result<Inside> {
    let place = place(root, path)?;
    let view = View::new(root.to_owned(), Vec::new());
    Ok(match view.real(&place.path) {
        Some(path) => Inside {
            host: view.on_host(&path),
            path,
        },
        None => place,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{directory, place};

    #[test]
    fn links_lead_to_places_in_the_root() {
        let root = tempfile::tempdir().unwrap();
        // `/run` itself is missing, as in many an image that was built from nothing.
        std::fs::create_dir_all(root.path().join("var")).unwrap();
        std::os::unix::fs::symlink("/run", root.path().join("var/run")).unwrap();
        std::os::unix::fs::symlink("../../../..", root.path().join("up")).unwrap();
        let made = directory(root.path(), Path::new("/var/run/secrets/a")).unwrap();
        assert_eq!(made.path, Path::new("/run/secrets/a"));
        assert_eq!(made.host, root.path().join("run/secrets/a"));
        assert!(made.host.is_dir());
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        directory(root.path(), Path::new("/loop/x")).unwrap_err();
        let up = place(root.path(), Path::new("up/../../etc/passwd")).unwrap();
        assert_eq!(up.host, root.path().join("etc/passwd"));
    }
}
