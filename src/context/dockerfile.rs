//! The Dockerfile of a context, and the ignore file that goes with it.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    path::Path,
};

use super::{ContextError, DockerfileProblem, ignore::IgnoreFile, walk::unreadable};
use crate::files;

/// The longest Dockerfile, in bytes.
const LONGEST: u64 = 1024 * 1024;
const IGNORE_FILE: &str = ".dockerignore";

/// Reads the Dockerfile at `path`, which is relative to the context's folder or absolute. A symbolic
/// link is followed, wherever it leads.
pub(super) fn read(folder: &Path, path: &Path) -> Result<Vec<u8>, ContextError> {
    let path = folder.join(path);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if is_missing(&error) => {
            if is_empty(folder) {
                let folder = folder.to_owned();
                return Err(ContextError::Empty { folder });
            }
            let similar = similar(&path);
            return Err(ContextError::NoDockerfile { path, similar });
        }
        Err(source) => return Err(unreadable(path, source)),
    };
    let bad = |problem| ContextError::BadDockerfile {
        path: path.clone(),
        problem,
    };
    if metadata.is_dir() {
        return Err(bad(DockerfileProblem::Folder));
    }
    if !metadata.is_file() {
        return Err(bad(DockerfileProblem::Special));
    }
    let mut text = Vec::new();
    files::open(&path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text))
        .map_err(|source| unreadable(path.clone(), source))?;
    if text.len() as u64 > LONGEST {
        return Err(bad(DockerfileProblem::TooLong));
    }
    if is_utf_16(&text) {
        return Err(bad(DockerfileProblem::Utf16));
    }
    if !has_instruction(&text) {
        return Err(bad(DockerfileProblem::Empty));
    }
    Ok(text)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a line is neither blank nor a comment.
fn has_instruction(text: &[u8]) -> bool {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .any(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// Names beside the missing file that its user may have meant: the same in other letters, or the name
/// that other builders use.
fn similar(path: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy().to_lowercase();
    let Ok(beside) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut similar: Vec<_> = beside
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|other| {
            let other = other.to_lowercase();
            other == name || (name == "dockerfile" && other == "containerfile")
        })
        .collect();
    similar.sort();
    similar
}

/// The ignore file of a context with a Dockerfile at `dockerfile`: `NAME.dockerignore` beside the
/// Dockerfile, otherwise `.dockerignore` in the context's folder.
pub(super) fn ignored_beside(folder: &Path, dockerfile: &Path) -> Result<IgnoreFile, ContextError> {
    let mut own = OsString::from(folder.join(dockerfile));
    own.push(IGNORE_FILE);
    match ignored_by(Path::new(&own))? {
        Some(ignored) => Ok(ignored),
        None => ignored_in(folder).map(Option::unwrap_or_default),
    }
}

/// The ignore file in the context's folder, if there is one.
pub(super) fn ignored_in(folder: &Path) -> Result<Option<IgnoreFile>, ContextError> {
    ignored_by(&folder.join(IGNORE_FILE))
}

fn ignored_by(file: &Path) -> Result<Option<IgnoreFile>, ContextError> {
    match files::read(file) {
        Ok(text) => parse(file, &text).map(Some),
        Err(error) if is_missing(&error) => Ok(None),
        Err(source) => Err(unreadable(file.to_owned(), source)),
    }
}

/// Reads the rules of an ignore file.
pub(super) fn parse(file: &Path, text: &[u8]) -> Result<IgnoreFile, ContextError> {
    if is_utf_16(text) {
        let path = file.to_owned();
        return Err(ContextError::IgnoreUtf16 { path });
    }
    // Names are compared in the same way: what is not UTF-8 in both is equal.
    IgnoreFile::parse(&String::from_utf8_lossy(text)).map_err(|bad| ContextError::IgnoreSyntax {
        path: file.to_owned(),
        line: bad.line,
        pattern: bad.pattern,
        problem: bad.problem,
    })
}

/// As Windows' editors and PowerShell's `>` write it. Read as anything else, it has no rules.
fn is_utf_16(text: &[u8]) -> bool {
    text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || text.contains(&0)
}

/// Whether there is nothing at the path, or what should be a folder on the way is none.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
