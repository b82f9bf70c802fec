//! Opens files that a user names, without ever waiting for a FIFO or reading a device.
//!
//! A FIFO without a writer holds up `open` for ever, and a device such as `/dev/zero` has no end.

use std::{
    fs::{File, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::fcntl::OFlag;

/// Opens a regular file for reading, or what a symbolic link to one leads to.
///
/// # Errors
/// As [`File::open`]; [`io::ErrorKind::InvalidInput`] for a FIFO, a socket or a device, and
/// [`io::ErrorKind::IsADirectory`] for a directory.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening some devices has effects of its own, so the type is looked at first.
    check(path.metadata()?.file_type())?;
    let mut options = OpenOptions::new();
    // The path may have become a FIFO since.
    options.custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.read(true).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens what a caller named in an argument: a regular file, an open file descriptor of this process
/// (`/dev/stdin`, or a shell's `<(command)`), or `/dev/null`, which is empty.
///
/// # Errors
/// As [`open`].
pub fn open_named(path: &Path) -> io::Result<File> {
    let is_passed = ["/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|folder| path.parent() == Some(Path::new(folder)));
    if is_passed || path == Path::new("/dev/stdin") || path == Path::new("/dev/null") {
        return File::open(path);
    }
    open(path)
}

/// Reads a regular file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file of UTF-8 text.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::InvalidData`] for other text.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn check(found: FileType) -> io::Result<()> {
    let kind = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let problem = format!("it is {kind}, not a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(at("fifo"), at("link")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (path, problem) in [
            (at("fifo"), "it is a FIFO, not a regular file"),
            (at("link"), "it is a FIFO, not a regular file"),
            (at("socket"), "it is a socket, not a regular file"),
            ("/dev/zero".into(), "it is a device, not a regular file"),
            ("/dev/tty".into(), "it is a device, not a regular file"),
        ] {
            for opened in [open(&path), open_named(&path)] {
                assert_eq!(opened.unwrap_err().to_string(), problem, "{path:?}");
            }
        }
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let error = open(&at("missing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn regular_files_and_links_to_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert_eq!(read(&file).unwrap(), b"text");
        assert_eq!(read_to_string(&link).unwrap(), "text");
        assert!(open_named(Path::new("/dev/null")).is_ok());
        assert!(open(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn a_pipe_of_this_process_can_be_named() {
        use std::{io::Write as _, os::fd::AsRawFd as _};
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"passed").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let mut text = String::new();
        open_named(Path::new(&path))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "passed");
    }
}
