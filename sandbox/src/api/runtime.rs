//! What the API server asks of the node: to run a command in a container and to read its log.
//! Which pod, which container and whether it may be asked at all has been settled before.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

/// The node side.
#[async_trait]
pub trait NodeRuntime: Send + Sync + 'static {
    /// Starts a command in a running container. The process outlives its reader: when the client
    /// goes away the API server drops the streams and nothing else.
    async fn exec(&self, request: ExecRequest) -> Result<ExecProcess, ExecStartError>;

    /// The log of one run of a container. `container_id` is the `containerID` of the pod's
    /// status for that run (state or lastState), so `--previous` needs no flag of its own.
    async fn logs(&self, request: LogRequest) -> Result<LogSource, LogError>;
}

/// Where and what to run.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container; it exists and its status says that it runs.
    pub container: String,
    /// The argument vector, never empty.
    pub command: Vec<String>,
    /// Whether a stdin is wanted; without, the process reads an empty file.
    pub stdin: bool,
    /// Whether to run on a pseudo-terminal.
    pub tty: bool,
}

/// A process that was started.
pub struct ExecProcess {
    /// Present when asked for; dropping it (or shutting it down) is the end of the input.
    pub stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// Ends with the process's last byte.
    pub stdout: Pin<Box<dyn AsyncRead + Send>>,
    /// None on a pseudo-terminal, where everything is stdout.
    pub stderr: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Sets columns and rows of the pseudo-terminal; does nothing without one.
    pub resize: Box<dyn Fn(u16, u16) + Send + Sync>,
    /// Resolves to the exit code once the process has ended (128 + n for signal n).
    pub wait: BoxFuture<'static, i32>,
}

/// Why a command could not start.
#[derive(Debug, Clone)]
pub enum ExecStartError {
    /// The container has gone in the meantime; `kubectl` prints `container not found ("c")`.
    ContainerNotFound,
    /// The OCI runtime's complaint, e.g. `exec: "nosuch": executable file not found in $PATH`.
    Oci(String),
    /// Anything else.
    Other(String),
}

/// Which log to read.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// Name of the container.
    pub container: String,
    /// `containerd://…` as the pod's status has it.
    pub container_id: String,
}

/// One write to stdout or stderr, cut at line ends.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When it was written.
    pub time: DateTime<Utc>,
    /// The bytes with their line end; without one if the process ended mid-line.
    pub bytes: Bytes,
}

/// A container's log.
pub struct LogSource {
    /// What has been written so far.
    pub past: Vec<LogLine>,
    /// What is written from then on, without a gap; ends when the container has ended.
    pub follow: BoxStream<'static, LogLine>,
}

/// Why a log could not be read; the text goes to the client as 400 or 500.
#[derive(Debug, Clone)]
pub enum LogError {
    /// The container's log is gone.
    NotFound,
    /// Anything else.
    Other(String),
}

impl fmt::Display for ExecStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContainerNotFound => f.write_str("container not found"),
            Self::Oci(text) | Self::Other(text) => f.write_str(text),
        }
    }
}
