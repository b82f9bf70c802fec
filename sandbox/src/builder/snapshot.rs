//! What a command changed: the tree before and after, compared.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::layer::Changes;
use super::tree::Tree;

/// Everything that a change to a file changes, but for its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Print {
    mode: u32,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Any write shows here. A file with several names changes it whenever it gets one more.
    changed: Option<(i64, i64)>,
    link: Option<PathBuf>,
}

/// The state that the next layer is compared with.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(Option<BTreeMap<PathBuf, Print>>);

impl Snapshot {
    /// Whether it has been taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }

    /// Remembers the tree as it is.
    pub(crate) fn take(&mut self, tree: &Tree) -> io::Result<()> {
        self.0 = Some(scan(tree)?);
        Ok(())
    }

    /// What changed since, and remembers the tree as it is now.
    pub(crate) fn changes(&mut self, tree: &Tree) -> io::Result<Changes> {
        let now = scan(tree)?;
        let before = self.0.take().unwrap_or_default();
        let added = now
            .iter()
            .filter(|(path, print)| before.get(*path) != Some(*print))
            .map(|(path, _)| path.clone())
            .collect();
        // What was in a folder that is gone is gone with it.
        let is_gone = |path: &Path| before.contains_key(path) && !now.contains_key(path);
        let removed = before
            .keys()
            .filter(|path| is_gone(path) && !path.parent().is_some_and(is_gone))
            .cloned()
            .collect();
        self.0 = Some(now);
        Ok(Changes { added, removed })
    }
}

fn scan(tree: &Tree) -> io::Result<BTreeMap<PathBuf, Print>> {
    let mut found = BTreeMap::new();
    for path in tree.walk(Path::new("/"))? {
        if path == Path::new("/") || tree.ignores(&path) {
            continue;
        }
        let real = tree.real(&path, false);
        let metadata = fs::symlink_metadata(&real)?;
        let regular = metadata.is_file();
        let print = Print {
            mode: metadata.mode(),
            inode: metadata.ino(),
            size: if regular { metadata.len() } else { 0 },
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (regular && metadata.nlink() == 1)
                .then(|| (metadata.ctime(), metadata.ctime_nsec())),
            link: fs::read_link(&real).ok(),
        };
        found.insert(path, print);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::image::Source;
    use super::super::{layer, unpack};
    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root"), &[]).unwrap();
        fs::create_dir_all(tree.root().join("old/sub")).unwrap();
        fs::write(tree.root().join("old/sub/file"), "x").unwrap();
        fs::write(tree.root().join("same"), "x").unwrap();
        fs::write(tree.root().join("mode"), "x").unwrap();
        (dir, tree)
    }

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn only_what_changed_is_found() {
        let (_dir, tree) = tree();
        let mut snapshot = Snapshot::default();
        snapshot.take(&tree).unwrap();
        fs::remove_dir_all(tree.root().join("old/sub")).unwrap();
        fs::write(tree.root().join("new"), "y").unwrap();
        fs::set_permissions(tree.root().join("mode"), Permissions::from_mode(0o700)).unwrap();
        let changes = snapshot.changes(&tree).unwrap();
        assert_eq!(changes.added, paths(&["/mode", "/new", "/old"]));
        assert_eq!(changes.removed, paths(&["/old/sub"]));
        assert_eq!(snapshot.changes(&tree).unwrap(), Changes::default());
    }

    #[test]
    fn a_layer_of_the_changes_makes_the_same_tree_elsewhere() {
        let (dir, mut tree) = tree();
        let mut snapshot = Snapshot::default();
        let changes = snapshot.changes(&tree).unwrap();
        let layers = dir.path().join("layers");
        let first = layer::write(&tree, &changes, layer::Times::Own, &layers).unwrap();
        fs::remove_dir_all(tree.root().join("old/sub")).unwrap();
        fs::hard_link(tree.root().join("same"), tree.root().join("linked")).unwrap();
        std::os::unix::fs::symlink("/same", tree.root().join("link")).unwrap();
        tree.own(Path::new("/link"), (5, 6));
        let changes = snapshot.changes(&tree).unwrap();
        let second = layer::write(&tree, &changes, layer::Times::Own, &layers).unwrap();

        let mut copy = Tree::new(&dir.path().join("copy"), &[]).unwrap();
        for layer in [first, second] {
            let Source::File(file) = layer.source else {
                panic!("a layer that is no file");
            };
            unpack::layer(&mut copy, &file).unwrap();
        }
        assert_eq!(
            copy.walk(Path::new("/")).unwrap(),
            tree.walk(Path::new("/")).unwrap()
        );
        assert_eq!(copy.owner(Path::new("/link")), (5, 6));
        assert_eq!(
            fs::read_link(copy.root().join("link")).unwrap(),
            Path::new("/same")
        );
    }

    #[test]
    fn without_times_the_same_files_give_the_same_bytes() {
        let (dir, tree) = tree();
        let changes = Snapshot::default().changes(&tree).unwrap();
        let write =
            || layer::write(&tree, &changes, layer::Times::None, &dir.path().join("l")).unwrap();
        let first = write();
        File::open(tree.root().join("same"))
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(first.digest, write().digest);
    }

    use std::fs::File;
}
