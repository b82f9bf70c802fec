//! Layers, laid over one another in a directory.
//!
//! Owners are not kept: everything belongs to whoever runs the sandbox, who is root in every
//! container. Device nodes can't be made by an ordinary user and are left out.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::copy::set_times;
use crate::node::inside::{self, Inside};
use crate::registry::digest::{Digest, Sum};

/// Marks a name as deleted.
const WHITEOUT: &str = ".wh.";
/// Marks everything that lower layers have in a directory as deleted.
const OPAQUE: &str = ".wh..wh..opq";

/// Lays a layer over what is in `root`, and checks that its content is what the image says.
pub(super) fn apply(layer: &Path, root: &Path, diff_id: &Digest) -> Result<(), String> {
    let failed = |why: String| format!("failed to extract layer {diff_id}: {why}");
    let mut content = open(layer).map_err(|error| failed(error.to_string()))?;
    let mut archive = Archive::new(&mut content);
    let mut own = HashSet::new();
    let entries = archive
        .entries()
        .map_err(|error| failed(error.to_string()))?;
    for entry in entries {
        entry
            .and_then(|mut entry| add(&mut entry, root, &mut own))
            .map_err(|error| failed(error.to_string()))?;
    }
    // What follows the archive's end counts, too.
    io::copy(&mut content, &mut io::sink()).map_err(|error| failed(error.to_string()))?;
    let found = content.sum.digest();
    if found == *diff_id {
        return Ok(());
    }
    Err(failed(format!(
        "wrong diff id calculated on extraction \"{found}\""
    )))
}

/// A layer's tar archive, counted as it is read.
struct Counted {
    inner: Box<dyn Read>,
    sum: Sum,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.add(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// How a layer is packed is told by its first bytes, as containerd does it.
fn open(layer: &Path) -> io::Result<Counted> {
    let mut first = Vec::new();
    File::open(layer)?.take(4).read_to_end(&mut first)?;
    let file = BufReader::new(File::open(layer)?);
    let inner: Box<dyn Read> = match first.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            return Err(io::Error::other("zstd is not understood by the sandbox"));
        }
        _ => Box::new(file),
    };
    Ok(Counted {
        inner,
        sum: Sum::default(),
    })
}

/// Adds one entry; `own` holds what this layer has added.
fn add<R: Read>(
    entry: &mut Entry<'_, R>,
    root: &Path,
    own: &mut HashSet<PathBuf>,
) -> io::Result<()> {
    let path = entry.path()?.into_owned();
    let Some(name) = path
        .file_name()
        .and_then(|name| name.to_str().map(str::to_owned))
    else {
        return Ok(());
    };
    let place = inside::place(root, &path)?;
    if name == OPAQUE {
        return empty(place.host.parent().unwrap_or(root), own);
    }
    if let Some(deleted) = name.strip_prefix(WHITEOUT) {
        return remove(&place.host.with_file_name(deleted));
    }
    let kind = entry.header().entry_type();
    if !make(entry, root, &place, kind)? {
        return Ok(());
    }
    if kind != EntryType::Symlink && kind != EntryType::Link {
        let mode = entry.header().mode()? & 0o7777;
        // Without these bits the sandbox of an ordinary user could not copy the tree.
        let least = if kind.is_dir() { 0o700 } else { 0o400 };
        fs::set_permissions(&place.host, Permissions::from_mode(mode | least))?;
    }
    if kind != EntryType::Link {
        let seconds = Duration::from_secs(entry.header().mtime()?);
        set_times(&place.host, SystemTime::UNIX_EPOCH + seconds)?;
    }
    own.insert(place.host);
    Ok(())
}

/// Makes the entry's file; false for what is left out.
fn make<R: Read>(
    entry: &mut Entry<'_, R>,
    root: &Path,
    place: &Inside,
    kind: EntryType,
) -> io::Result<bool> {
    let host = &place.host;
    let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
    if kind.is_dir() {
        // A directory over a directory only changes its mode.
        if !fs::symlink_metadata(host).is_ok_and(|there| there.is_dir()) {
            remove(host)?;
            fs::create_dir(host)?;
        }
        return Ok(true);
    }
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            remove(host)?;
            io::copy(entry, &mut File::create_new(host)?)?;
        }
        EntryType::Symlink => {
            remove(host)?;
            symlink(link.unwrap_or_default(), host)?;
        }
        EntryType::Link => {
            let original = inside::place(root, &link.unwrap_or_default())?;
            if original != *place {
                remove(host)?;
                fs::hard_link(original.host, host)?;
            }
        }
        EntryType::Fifo => {
            remove(host)?;
            super::copy::make_fifo(host)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Removes what lower layers have put into a directory.
fn empty(dir: &Path, own: &HashSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        if !own.iter().any(|kept| kept.starts_with(&path)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::apply;
    use crate::registry::digest::Digest;

    /// What an entry of a test's layer is.
    enum Is<'a> {
        File(&'a str),
        Dir,
        Link(&'a str),
        Symlink(&'a str),
    }

    fn layer(dir: &Path, entries: &[(&str, Is<'_>)]) -> Result<(), String> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, is) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            let (kind, content, target) = match is {
                Is::File(content) => (tar::EntryType::Regular, *content, ""),
                Is::Dir => (tar::EntryType::Directory, "", ""),
                Is::Link(target) => (tar::EntryType::Link, "", *target),
                Is::Symlink(target) => (tar::EntryType::Symlink, "", *target),
            };
            header.set_entry_type(kind);
            header.set_size(u64::try_from(content.len()).unwrap());
            // Written by hand: the builder refuses paths like `../x`, hostile images do not.
            for (field, text) in [(0, *path), (157, target)] {
                header.as_mut_bytes()[field..field + text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_cksum();
            archive.append(&header, content.as_bytes()).unwrap();
        }
        let bytes = archive.into_inner().unwrap();
        let file = dir.with_extension("tar");
        fs::write(&file, &bytes).unwrap();
        apply(&file, dir, &Digest::of(&bytes))
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn upper_layers_replace_and_delete() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        let lower = [
            ("a/one", Is::File("1")),
            ("a/two", Is::File("2")),
            ("b/", Is::Dir),
            ("b/old", Is::File("old")),
            ("c", Is::File("file")),
            ("d", Is::Link("a/one")),
        ];
        layer(&root, &lower).unwrap();
        let upper = [
            ("a/.wh.one", Is::File("")),
            ("b/new", Is::File("new")),
            ("b/.wh..wh..opq", Is::File("")),
            ("c/", Is::Dir),
            ("c/inner", Is::File("x")),
        ];
        layer(&root, &upper).unwrap();
        assert_eq!(names(&root), ["a", "b", "c", "d"]);
        assert_eq!(names(&root.join("a")), ["two"]);
        assert_eq!(names(&root.join("b")), ["new"]);
        assert_eq!(names(&root.join("c")), ["inner"]);
        assert_eq!(fs::read_to_string(root.join("d")).unwrap(), "1");
    }

    #[test]
    fn nothing_is_written_outside_the_root() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        let outside = place.path().join("outside").display().to_string();
        fs::create_dir(&outside).unwrap();
        let entries = [
            ("../escaped", Is::File("x")),
            ("way", Is::Symlink(&outside)),
            ("up", Is::Symlink("../outside")),
        ];
        layer(&root, &entries).unwrap();
        for into in ["way/x", "up/x"] {
            layer(&root, &[(into, Is::File("x"))]).unwrap();
        }
        layer(&root, &[("stolen", Is::Link("../../../../etc/hostname"))]).unwrap_err();
        assert_eq!(names(place.path()), ["outside", "root", "root.tar"]);
        assert_eq!(names(Path::new(&outside)), Vec::<String>::new());
        assert_eq!(names(&root.join("outside")), ["x"]);
        assert!(
            root.join(outside.trim_start_matches('/'))
                .join("x")
                .exists()
        );
    }

    #[test]
    fn another_content_than_promised_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("layer");
        fs::write(&file, [0; 1024]).unwrap();
        let error = apply(&file, place.path(), &Digest::of(b"other")).unwrap_err();
        assert!(error.contains("wrong diff id"), "{error}");
    }
}
