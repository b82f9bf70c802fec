//! Why a folder can't become a build's context.

use std::{fmt, io, path::PathBuf};

/// A context can't be packed. Nothing has been sent.
///
/// Paths of entries (`path`) are relative to the context's folder, with `/` between their parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The context's folder does not exist.
    #[error("the context {} does not exist", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The context is no folder.
    #[error("the context {} is not a folder", .folder.display())]
    NotAFolder {
        /// What was named as the folder.
        folder: PathBuf,
    },
    /// A file or folder can't be read.
    #[error("{} can't be read", .path.display())]
    Unreadable {
        /// The file or folder, as it was opened.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing in the context's folder.
    #[error("the context {} is empty", .folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// The ignore file is UTF-16.
    #[error("{} is UTF-16", .path.display())]
    IgnoreUtf16 {
        /// The `.dockerignore` file.
        path: PathBuf,
    },
    /// A line of the ignore file can't be used.
    #[error("{}, line {line}: the pattern {pattern:?} {problem}", .path.display())]
    IgnoreSyntax {
        /// The `.dockerignore` file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry is neither a file nor a folder nor a symbolic link.
    #[error("{path:?} is a {kind}, which no image can hold")]
    Special {
        /// The entry.
        path: String,
        /// What it is.
        kind: SpecialKind,
    },
    /// A file became another one, or its content changed, while it was packed.
    #[error("{path:?} changed while it was packed")]
    Changed {
        /// The file.
        path: String,
    },
    /// There are too many entries.
    #[error("the context {} has more than {most} files and folders", .folder.display())]
    TooManyFiles {
        /// The folder.
        folder: PathBuf,
        /// How many there may be.
        most: usize,
    },
    /// An entry has the name that is kept for the Dockerfile.
    #[error("the context has an entry {path:?}, a name that berth keeps for the Dockerfile")]
    Reserved {
        /// The entry.
        path: String,
    },
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at {}{}", .path.display(), similar_names(.similar))]
    NoDockerfile {
        /// Where it was looked for.
        path: PathBuf,
        /// Names beside it that may have been meant.
        similar: Vec<String>,
    },
    /// The Dockerfile can't be one.
    #[error("the Dockerfile {} {problem}", .path.display())]
    BadDockerfile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: DockerfileProblem,
    },
    /// The packed context can't be written to a temporary file, or read back.
    #[error("the packed context can't be kept in a temporary file")]
    Spool(#[source] io::Error),
    /// The packing was stopped.
    #[error("the packing of the context was stopped")]
    Stopped,
}

/// What an entry is that can't be in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecialKind {
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Fifo => "named pipe",
            Self::Device => "device",
        })
    }
}

/// Why a file can't be a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DockerfileProblem {
    /// It is a folder.
    Folder,
    /// It is a socket, a named pipe or a device.
    Special,
    /// It has no instruction.
    Empty,
    /// It has more than 1 MiB.
    TooLong,
    /// It is UTF-16.
    Utf16,
}

impl fmt::Display for DockerfileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "is a folder",
            Self::Special => "is not a file",
            Self::Empty => "has no instruction",
            Self::TooLong => "has more than 1 MiB",
            Self::Utf16 => "is UTF-16, which no builder reads; save it as UTF-8",
        })
    }
}

impl ContextError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NotAFolder { .. } => {
                "name the folder that holds what the image is built from"
            }
            Self::Unreadable { path, .. } if is_ignore_file(path) => {
                "make it a regular file that you may read, or remove it"
            }
            Self::Unreadable { .. } => {
                "give yourself the right to read it, or name it in .dockerignore"
            }
            Self::Empty { .. } => "put a Dockerfile and its files there, or name another folder",
            Self::IgnoreUtf16 { .. } => "save it as UTF-8",
            Self::IgnoreSyntax { .. } => {
                "see https://docs.docker.com/build/concepts/context/#dockerignore-files for the syntax"
            }
            Self::Special { .. } => "remove it, or name it in .dockerignore",
            Self::Changed { .. } => {
                "build again when nothing writes there, or name the file in .dockerignore"
            }
            Self::TooManyFiles { .. } => {
                "name what the image does not need in .dockerignore, or build from a smaller folder"
            }
            Self::Reserved { .. } => "rename it, or name it in .dockerignore",
            Self::NoDockerfile { similar, .. } if !similar.is_empty() => {
                "rename the file, or name it as the Dockerfile"
            }
            Self::NoDockerfile { .. } => "write one, name another, or build from a template",
            Self::BadDockerfile { .. } => "name another Dockerfile, or build from a template",
            Self::Spool(_) => "make room there, or let TMPDIR name a folder that has room",
            Self::Stopped => "build again",
        }
    }
}

/// Whether it is an ignore file, which no ignore file can exclude.
fn is_ignore_file(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().ends_with(b".dockerignore")
}

/// `; did you mean dockerfile?`, or nothing.
fn similar_names(similar: &[String]) -> String {
    if similar.is_empty() {
        return String::new();
    }
    format!("; did you mean {}?", similar.join(" or "))
}
