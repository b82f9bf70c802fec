//! What ends a build, as facts. Each face says them in its own program's words.

use std::fmt;
use std::io;
use std::path::Path;

use super::registry::Refusal;

/// Why a build, or a step of it, came to nothing.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where it happened, from the outside in.
    pub(crate) places: Vec<Place>,
    pub(crate) cause: Cause,
}

/// Where in a build a fault was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// While the Dockerfile was read.
    Parsing,
    /// While the stage to build was looked for.
    Target,
    /// While the cache was asked.
    Optimizing,
    /// While a stage was built.
    Stage,
    /// While the files that a command copies were looked for.
    FilesUsed,
    /// While a base image was laid out.
    Rootfs,
    /// While a command was carried out.
    Command,
    /// While a command's changes were collected.
    Snapshot,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The Dockerfile can't be understood. `line` is 0 if the complaint is about the whole.
    Dockerfile { line: usize, message: String },
    /// `--target` names no stage.
    NoTarget(String),
    /// A file to copy is not there: its full path, and its name as the Dockerfile has it.
    NoSource { path: String, name: String },
    /// A command ended badly.
    Exit { command: String, ending: Ending },
    /// A command could not be started.
    Start { command: String, reason: String },
    /// A registry refused, or is away.
    Base {
        image: String,
        refusal: Box<Refusal>,
    },
    /// Anything whose words are the same in every program.
    Said(String),
}

/// How a process ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Signal(i32),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(cause: Cause) -> Self {
        Self {
            places: Vec::new(),
            cause,
        }
    }

    pub(crate) fn said(words: impl Into<String>) -> Self {
        Self::new(Cause::Said(words.into()))
    }

    /// A failed call to the system, in Go's words: `open /x: no such file or directory`.
    pub(crate) fn system(call: &str, path: &Path, error: &io::Error) -> Self {
        Self::said(format!("{call} {}: {}", path.display(), reason(error)))
    }
}

/// Says where a fault was met, on its way out.
pub(crate) trait Within<T> {
    fn within(self, place: Place) -> Outcome<T>;
}

impl<T> Within<T> for Outcome<T> {
    fn within(self, place: Place) -> Outcome<T> {
        self.map_err(|mut fault| {
            fault.places.insert(0, place);
            fault
        })
    }
}

/// Says of which call on which path a system error is.
pub(crate) trait Calling<T> {
    fn calling(self, call: &str, path: &Path) -> Outcome<T>;
}

impl<T> Calling<T> for io::Result<T> {
    fn calling(self, call: &str, path: &Path) -> Outcome<T> {
        self.map_err(|error| Fault::system(call, path, &error))
    }
}

/// A system error as Go says it.
pub(crate) fn reason(error: &io::Error) -> String {
    let words = match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    };
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => words,
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit status {code}"),
            Self::Signal(9) => write!(out, "signal: killed"),
            Self::Signal(15) => write!(out, "signal: terminated"),
            Self::Signal(number) => write!(out, "signal: signal {number}"),
        }
    }
}
