//! A command in a pod: what is asked, and the outcomes that must never be mistaken for one another.

use std::{fmt, pin::Pin, time::Duration};

use async_trait::async_trait;
use berth_core::{Diagnosis, Environment};
use bytes::Bytes;
use tokio::io::AsyncRead;

use super::ClusterError;

/// The container that a command runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodRef {
    /// A container of the pod of this name.
    Named {
        /// The pod's name.
        pod: String,
        /// The container's.
        container: String,
    },
    /// A container of the newest running pod with these labels, which is looked up in the same round trip.
    Newest {
        /// The label selector, as `kubectl -l` takes it.
        labels: String,
        /// The container's name.
        container: String,
    },
}

impl PodRef {
    pub(super) fn container(&self) -> &str {
        match self {
            Self::Named { container, .. } | Self::Newest { container, .. } => container,
        }
    }
}

/// What runs in the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// This argument vector, as it is. A `/bin/sh` in the pod runs it and tells how it ended. In an
    /// image that has none it runs by itself; there its exit code 0 is kubectl's word alone, which
    /// kubectl also gives when the link was closed without an error.
    Argv(Vec<String>),
    /// This line, by `/bin/sh -c` in the pod.
    Shell(String),
}

/// A command for a pod, with its surroundings.
#[derive(Debug, Clone)]
pub struct ExecCommand {
    /// What runs.
    pub program: Program,
    /// Variables for this command alone; their values travel on stdin, never in an argument.
    /// Needs `/bin/sh` in the pod, as `working_dir` does.
    pub environment: Environment,
    /// The folder to run in; the image's own when there is none.
    pub working_dir: Option<String>,
}

/// What the command reads.
#[derive(Default)]
pub enum Stdin {
    /// Nothing: its stdin is not connected.
    #[default]
    None,
    /// These bytes, then the end.
    Bytes(Bytes),
    /// What this reader gives, until its end.
    Reader(Pin<Box<dyn AsyncRead + Send>>),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}

/// One of a command's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes output while it comes.
#[async_trait]
pub trait ExecSink: Send {
    /// Takes the next part of a stream. An error ends the command.
    async fn write(&mut self, stream: Stream, part: &[u8]) -> std::io::Result<()>;
}

/// A command for a pod, with its streams and bounds.
pub struct ExecRequest {
    /// What runs.
    pub command: ExecCommand,
    /// What it reads.
    pub stdin: Stdin,
    /// Where the output goes while it comes; without one it is kept alone.
    pub sink: Option<Box<dyn ExecSink>>,
    /// The longest that the command may take. None: as long as it likes.
    pub time_limit: Option<Duration>,
    /// The most that is kept of each stream, in bytes.
    pub keep_bytes: usize,
}

impl fmt::Debug for ExecRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecRequest")
            .field("command", &self.command)
            .field("stdin", &self.stdin)
            .field("time_limit", &self.time_limit)
            .field("keep_bytes", &self.keep_bytes)
            .finish_non_exhaustive()
    }
}

/// What was kept of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, up to the bound.
    pub bytes: Vec<u8>,
    /// How many bytes came after them and were not kept.
    pub cut: u64,
}

impl Captured {
    /// What was kept, as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// How a command ended that did run to its end. Its exit code is data, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecOutput {
    /// The pod it ran in.
    pub pod: String,
    /// Its exit code, 0 to 255.
    pub exit_code: u8,
    /// Why the container ended, and all of its processes with it, when that is why the command did.
    pub container_end: Option<Diagnosis>,
    /// What it printed.
    pub stdout: Captured,
    /// What it printed to standard error, without kubectl's own words.
    pub stderr: Captured,
}

impl ExecOutput {
    /// The signal that ended the command, by the convention of 128 plus its number.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        self.exit_code
            .checked_sub(128)
            .filter(|number| (1..=64).contains(number))
    }
}

/// Nothing, or not enough, is known of the command's end. Never a success.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The program does not exist in the container, or can't be executed. It did not run.
    #[error("the command could not start: {reason}")]
    CouldNotStart {
        /// The container runtime's words.
        reason: String,
    },
    /// The working folder does not exist in the container. The command did not run.
    #[error("the folder {folder:?} can't be entered in the pod")]
    NoSuchFolder {
        /// The folder.
        folder: String,
    },
    /// The pod is not there (any more). Whether the command ran is told by `started`.
    #[error("pod {pod} is gone{}", if *started { ", and the command with it" } else { "" })]
    PodGone {
        /// The pod's name, or `of the owner` when there was none to name.
        pod: String,
        /// Whether the command had started.
        started: bool,
    },
    /// The pod is there but its container does not run. The command did not run.
    #[error("pod {pod} does not run: {reason}")]
    NotRunning {
        /// The pod's name.
        pod: String,
        /// kubectl's words.
        reason: String,
    },
    /// The connection to the container was lost midway. The command may still be running.
    #[error("lost the connection to the command: {reason}")]
    LinkLost {
        /// What was seen.
        reason: String,
        /// What had been kept until then.
        partial: Box<Partial>,
    },
    /// The time limit was reached.
    #[error("the command did not end within {} s", limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// Whether the command was ended in the pod as well; if not, it may still be running.
        ended_in_pod: bool,
        /// What had been kept until then.
        partial: Box<Partial>,
    },
    /// The command, or an argument of it, is longer than the host can carry. Nothing was sent.
    #[error("the command is too long: {reason}")]
    TooLong {
        /// What is too long, and the bound.
        reason: String,
    },
    /// The output could not be passed on, and the command was ended.
    #[error("the output could not be passed on")]
    Sink(#[source] std::io::Error),
    /// What the command was to read could not be read, and the command was ended.
    #[error("the command's input could not be read")]
    Stdin(#[source] std::io::Error),
    /// The cluster or the way to it failed before the command could start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// What had been kept of the output when nothing more could be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}
