//! Laying layers out: archives with marks for what is gone, and sums of what is read.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use super::image::named;
use super::tree::Tree;

/// Lays a packed layer out over what is there; the paths that it touched.
pub(crate) fn layer(tree: &mut Tree, packed: &Path) -> io::Result<Vec<PathBuf>> {
    let mut touched = Vec::new();
    archive(
        tree,
        MultiGzDecoder::new(File::open(packed)?),
        Path::new("/"),
        &mut touched,
    )?;
    Ok(touched)
}

/// Lays an archive out below `at`.
pub(crate) fn archive(
    tree: &mut Tree,
    bytes: impl Read,
    at: &Path,
    touched: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for entry in Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = tree.resolve(&at.join(relative(&entry.path()?)), false);
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(gone) = name.and_then(|name| name.strip_prefix(".wh.")) {
            let folder = path.parent().unwrap_or(Path::new("/"));
            remove_marked(tree, folder, gone)?;
            touched.push(folder.join(gone));
        } else if path != Path::new("/") && !tree.ignores(&path) {
            put(tree, &mut entry, &path, at)?;
            touched.push(path);
        }
    }
    Ok(())
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

fn remove_marked(tree: &Tree, folder: &Path, gone: &str) -> io::Result<()> {
    let real = tree.real(folder, false);
    if gone != ".wh..opq" {
        return remove(&real.join(gone));
    }
    for entry in fs::read_dir(&real).into_iter().flatten() {
        remove(&entry?.path())?;
    }
    Ok(())
}

/// Removes whatever is there; nothing is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn put(
    tree: &mut Tree,
    entry: &mut Entry<'_, impl Read>,
    path: &Path,
    at: &Path,
) -> io::Result<()> {
    let real = tree.real(path, false);
    if let Some(parent) = real.parent() {
        fs::create_dir_all(parent)?;
    }
    let header = entry.header();
    let (mode, mtime) = (header.mode()?, header.mtime()?);
    let number = |id: io::Result<u64>| id.ok().and_then(|id| id.try_into().ok()).unwrap_or(0);
    let owner = (number(header.uid()), number(header.gid()));
    let kind = header.entry_type();
    if kind != EntryType::Directory || !real.is_dir() || real.is_symlink() {
        remove(&real)?;
    }
    let target = entry.link_name()?.map(std::borrow::Cow::into_owned);
    match (kind, target) {
        (EntryType::Directory, _) => fs::create_dir_all(&real)?,
        (EntryType::Symlink, Some(target)) => {
            symlink(target, &real)?;
            tree.own(path, owner);
            return Ok(());
        }
        (EntryType::Link, Some(target)) => {
            return fs::hard_link(tree.real(&at.join(relative(&target)), false), &real);
        }
        (EntryType::Regular | EntryType::Continuous, _) => {
            io::copy(entry, &mut File::create(&real)?)?;
        }
        // Devices and pipes can't be made here, and metadata is no file.
        _ => return Ok(()),
    }
    fs::set_permissions(&real, Permissions::from_mode(mode & 0o7777))?;
    if kind != EntryType::Directory {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(mtime);
        File::open(&real)?.set_modified(time)?;
    }
    tree.own(path, owner);
    Ok(())
}

/// The digest of a file, and how many bytes it has.
pub(crate) fn sum(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Ok((named(&sum.finalize()), size));
        };
        sum.update(read);
        size += count as u64;
    }
}
