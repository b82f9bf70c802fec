//! The file tree that is being built: a folder that stands for `/`, and who owns what in it.
//!
//! Owners are kept beside the files, because a pod of the sandbox has one user id only and can't
//! give files away.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A user's and a group's number.
pub(crate) type Owner = (u32, u32);

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: PathBuf,
    owners: BTreeMap<PathBuf, Owner>,
    /// Paths that never enter a layer, with all below them.
    ignored: Vec<PathBuf>,
}

/// What a container's runtime puts into it; never part of an image.
const RUNTIME: [&str; 6] = [
    "/dev",
    "/proc",
    "/sys",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
];

impl Tree {
    /// An empty tree in a folder, which is emptied.
    pub(crate) fn new(root: &Path, ignored: &[String]) -> std::io::Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        fs::create_dir_all(root)?;
        let ignored = RUNTIME
            .into_iter()
            .chain(ignored.iter().map(String::as_str))
            .map(|path| clean(Path::new(path)))
            .collect();
        Ok(Self {
            root: root.to_owned(),
            owners: BTreeMap::new(),
            ignored,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path of the tree as a path of this machine. Links are followed as they would be inside,
    /// so that none leads out; the last part only if `last` says so.
    pub(crate) fn real(&self, path: &Path, last: bool) -> PathBuf {
        self.join(&self.resolve(path, last))
    }

    /// A path of the tree without links in it.
    pub(crate) fn resolve(&self, path: &Path, last: bool) -> PathBuf {
        let mut found = PathBuf::from("/");
        let mut todo: Vec<PathBuf> = parts(path);
        todo.reverse();
        let mut follows = 40;
        while let Some(part) = todo.pop() {
            if part.as_os_str() == ".." {
                found.pop();
                continue;
            }
            let next = found.join(&part);
            let target = match fs::read_link(self.join(&next)) {
                Ok(target) if follows > 0 && (last || !todo.is_empty()) => target,
                _ => {
                    found = next;
                    continue;
                }
            };
            follows -= 1;
            if target.is_absolute() {
                found = PathBuf::from("/");
            }
            todo.extend(parts(&target).into_iter().rev());
        }
        found
    }

    fn join(&self, inside: &Path) -> PathBuf {
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Whether a path never enters a layer.
    pub(crate) fn ignores(&self, path: &Path) -> bool {
        self.ignored.iter().any(|ignored| path.starts_with(ignored))
    }

    /// Leaves a path and what is below it out of all further layers.
    pub(crate) fn ignore(&mut self, path: &Path) {
        self.ignored.push(clean(path));
    }

    /// Says who owns a path; remembered only if it is not root.
    pub(crate) fn own(&mut self, path: &Path, owner: Owner) {
        if owner == (0, 0) {
            self.owners.remove(path);
        } else {
            self.owners.insert(path.to_owned(), owner);
        }
    }

    pub(crate) fn owner(&self, path: &Path) -> Owner {
        self.owners.get(path).copied().unwrap_or((0, 0))
    }

    /// The paths below `from`, itself included, parents first, in order. Links are not followed.
    pub(crate) fn walk(&self, from: &Path) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut todo = vec![from.to_owned()];
        while let Some(path) = todo.pop() {
            let real = self.join(&path);
            if fs::symlink_metadata(&real)?.is_dir() {
                let mut names = fs::read_dir(&real)?
                    .map(|entry| Ok(path.join(entry?.file_name())))
                    .collect::<std::io::Result<Vec<_>>>()?;
                names.sort();
                todo.extend(names.into_iter().rev());
            }
            found.push(path);
        }
        Ok(found)
    }
}

fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}

/// The shortest name for a path, as Go's `filepath.Clean` finds it; links are not looked at.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if found.parent().is_some() => {
                found.pop();
            }
            Component::ParentDir if path.is_absolute() => {}
            other => found.push(other),
        }
    }
    if found.as_os_str().is_empty() {
        found.push(".");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_never_lead_out_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root"), &[]).unwrap();
        fs::create_dir_all(tree.root().join("usr/bin")).unwrap();
        std::os::unix::fs::symlink("/usr/bin", tree.root().join("bin")).unwrap();
        std::os::unix::fs::symlink("../../..", tree.root().join("usr/up")).unwrap();
        let inside = |path: &str| tree.resolve(Path::new(path), true);
        assert_eq!(inside("/bin/sh"), Path::new("/usr/bin/sh"));
        assert_eq!(inside("/usr/up/etc"), Path::new("/etc"));
        assert_eq!(inside("../../x"), Path::new("/x"));
        assert_eq!(tree.resolve(Path::new("/bin"), false), Path::new("/bin"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root"), &[]).unwrap();
        std::os::unix::fs::symlink("loop", tree.root().join("loop")).unwrap();
        assert_eq!(tree.resolve(Path::new("/loop"), true), Path::new("/loop"));
    }

    #[test]
    fn paths_are_cleaned_without_looking() {
        assert_eq!(clean(Path::new("/a/./b/../c/")), Path::new("/a/c"));
        assert_eq!(clean(Path::new("/../a")), Path::new("/a"));
        assert_eq!(clean(Path::new("./")), Path::new("."));
    }

    #[test]
    fn what_the_runtime_puts_into_a_container_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root"), &["/skip".to_owned()]).unwrap();
        assert!(tree.ignores(Path::new("/dev/null")));
        assert!(tree.ignores(Path::new("/skip/x")));
        assert!(!tree.ignores(Path::new("/device")));
    }
}
