//! Copies of an unpacked image: each start of a container gets a tree of its own.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

/// Copies a tree with its links, modes and times.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut linked = HashMap::new();
    fs::create_dir_all(to)?;
    copy_into(from, to, &mut linked)
}

fn copy_into(from: &Path, to: &Path, linked: &mut HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_into(&source, &target, linked)?;
            fs::set_permissions(&target, metadata.permissions())?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_fifo() {
            make_fifo(&target)?;
        } else if metadata.nlink() > 1 {
            let file = (metadata.dev(), metadata.ino());
            if let Some(first) = linked.get(&file) {
                fs::hard_link(first, &target)?;
            } else {
                fs::copy(&source, &target)?;
                linked.insert(file, target.clone());
            }
        } else {
            fs::copy(&source, &target)?;
        }
        set_times(&target, metadata.modified()?)?;
    }
    Ok(())
}

/// Sets when something was last changed; of a link, the link itself.
pub(super) fn set_times(path: &Path, modified: SystemTime) -> io::Result<()> {
    let since = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let time = Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or(0),
        tv_nsec: i64::from(since.subsec_nanos()),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Makes a named pipe.
pub(super) fn make_fifo(path: &Path) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o644);
    Ok(mknodat(CWD, path, FileType::Fifo, mode, 0)?)
}
