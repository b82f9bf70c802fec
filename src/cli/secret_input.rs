//! Secrets that a person passes on: from stdin or a file, never from an argument.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use crate::{domain::Invalid, secret::Secret};

/// The most that is read, in bytes: more fits into no object of Kubernetes.
const LONGEST: u64 = 1024 * 1024;

/// All of stdin as text. A terminal is refused: what is typed there is seen.
pub(super) fn stdin(what: &'static str) -> Result<Secret<String>, Invalid> {
    text(what, "stdin", &stdin_bytes(what)?)
}

/// All of stdin. A terminal is refused: what is typed there is seen.
pub(super) fn stdin_bytes(what: &'static str) -> Result<Secret<Vec<u8>>, Invalid> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Invalid::new(
            what,
            "",
            "is read from stdin, and stdin is a terminal",
            "pass it through a pipe or with < FILE",
        ));
    }
    read(what, "stdin", stdin.lock())
}

/// All of a file as text.
pub(super) fn file(what: &'static str, path: &Path) -> Result<Secret<String>, Invalid> {
    text(what, &path.display().to_string(), &file_bytes(what, path)?)
}

/// All of a file.
pub(super) fn file_bytes(what: &'static str, path: &Path) -> Result<Secret<Vec<u8>>, Invalid> {
    let shown = path.display().to_string();
    let file = crate::files::open_named(path).map_err(|error| {
        Invalid::new(
            what,
            &shown,
            format!("can't be read: {error}"),
            "check the path and its permissions",
        )
    })?;
    read(what, &shown, file)
}

fn read(what: &'static str, from: &str, source: impl io::Read) -> Result<Secret<Vec<u8>>, Invalid> {
    let mut bytes = Vec::new();
    source
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            let (problem, remedy) = match error.kind() {
                // A file such as /proc/kmsg, which has no end.
                io::ErrorKind::WouldBlock => (
                    "can't be read to its end: more may come at any time".to_owned(),
                    "name a regular file, or pass the value on stdin",
                ),
                _ => (
                    format!("can't be read: {error}"),
                    "check the path and its permissions",
                ),
            };
            Invalid::new(what, from, problem, remedy)
        })?;
    if bytes.len() as u64 > LONGEST {
        let remedy = format!("pass at most {LONGEST} bytes");
        return Err(Invalid::new(what, from, "is too long", remedy));
    }
    Ok(Secret::new(bytes))
}

fn text(what: &'static str, from: &str, read: &Secret<Vec<u8>>) -> Result<Secret<String>, Invalid> {
    let text = std::str::from_utf8(read.expose());
    let text =
        text.map_err(|_| Invalid::new(what, from, "is not UTF-8 text", "pass UTF-8 text"))?;
    Ok(Secret::new(text.to_owned()))
}

/// The text without the one line end that `echo` and editors add.
pub(super) fn without_line_end(text: &Secret<String>) -> Secret<String> {
    let text = text.expose();
    let text = text.strip_suffix('\n').unwrap_or(text);
    Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Endless(io::ErrorKind);

    impl io::Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }

    #[test]
    fn the_remedy_is_for_what_went_wrong() {
        for (kind, remedy) in [
            (io::ErrorKind::WouldBlock, "regular file"),
            (io::ErrorKind::PermissionDenied, "permissions"),
        ] {
            let refused = read("secret", "f", Endless(kind)).unwrap_err();
            assert!(refused.remedy().contains(remedy), "{refused}");
        }
        let refused = read("secret", "f", io::repeat(0)).unwrap_err();
        assert!(refused.remedy().contains("1048576 bytes"), "{refused}");
    }
}
