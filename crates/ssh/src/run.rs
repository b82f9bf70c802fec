//! Running a command to its end, keeping a bounded part of what it writes.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::process::{ExitStatus, Process, ProcessEvent};
use super::{Script, SshClient, SshError};

/// How much of the end of a stream is always kept: enough for any error message.
pub const TAIL_BYTES: usize = 8 * 1024;

/// What a command reads from stdin.
#[derive(Clone, Default)]
pub enum Stdin {
    /// Nothing: it sees the end at once.
    #[default]
    Empty,
    /// These bytes, then the end.
    Bytes(Bytes),
}

impl<T: Into<Bytes>> From<T> for Stdin {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl fmt::Debug for Stdin {
    // Stdin is where secrets go.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// Bounds for one [`SshClient::run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunLimits {
    /// For all of it: connecting if need be, waiting for a channel, running. No limit if `None`.
    pub timeout: Option<Duration>,
    /// Bytes of stdout to keep, from its beginning. `None`: as
    /// [`kept_bytes_per_stream`](crate::SshLimits::kept_bytes_per_stream) says.
    pub keep_stdout: Option<usize>,
    /// Likewise for stderr.
    pub keep_stderr: Option<usize>,
}

impl RunLimits {
    /// A time limit, and the usual sizes.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..Self::default()
        }
    }
}

/// A command that ran to its end, well or not.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr.
    pub stderr: Captured,
}

/// What is kept of a stream: its beginning, and always its end.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, as many as were to be kept.
    pub bytes: Vec<u8>,
    /// How many bytes came after those.
    pub dropped: u64,
    /// The last bytes of the stream, up to [`TAIL_BYTES`]; they may be among `bytes` as well.
    pub tail: Vec<u8>,
}

impl Captured {
    /// Whether `bytes` is all there was.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.dropped == 0
    }

    /// The kept beginning as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The end as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn tail_text(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}

impl fmt::Debug for Captured {
    // Output may be anything, also a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured")
            .field("bytes", &self.bytes.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// Takes in a stream.
struct Capture {
    keep: usize,
    bytes: Vec<u8>,
    dropped: u64,
    tail: VecDeque<u8>,
}

impl Capture {
    fn new(keep: usize) -> Self {
        Self {
            keep,
            bytes: Vec::new(),
            dropped: 0,
            tail: VecDeque::new(),
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let room = self.keep.saturating_sub(self.bytes.len()).min(piece.len());
        let (kept, rest) = piece.split_at(room);
        self.bytes.extend_from_slice(kept);
        self.dropped += rest.len() as u64;
        let (_, end) = piece.split_at(piece.len().saturating_sub(TAIL_BYTES));
        let surplus = (self.tail.len() + end.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend(end);
    }

    fn finish(self) -> Captured {
        Captured {
            bytes: self.bytes,
            dropped: self.dropped,
            tail: self.tail.into(),
        }
    }
}

impl SshClient {
    /// Runs a command to its end and keeps what it wrote, within limits.
    ///
    /// Stdin is written while output is read, so neither holds up the other. If the future is
    /// dropped or its time is up, the command is ended on the host, in the background.
    ///
    /// # Errors
    ///
    /// Any [`SshError`]. A command that ends badly is not one: see [`Output::status`].
    pub async fn run(
        &self,
        script: &Script,
        stdin: impl Into<Stdin>,
        limits: RunLimits,
    ) -> Result<Output, SshError> {
        let usual = self.settings().limits.kept_bytes_per_stream;
        let mut stdout = Capture::new(limits.keep_stdout.unwrap_or(usual));
        let mut stderr = Capture::new(limits.keep_stderr.unwrap_or(usual));
        let mut started = false;
        let stdin = match stdin.into() {
            Stdin::Bytes(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        };
        let work = async {
            let process = self.start(script, stdin.is_some()).await?;
            started = true;
            communicate(process, stdin, &mut stdout, &mut stderr).await
        };
        let result = match limits.timeout {
            None => Ok(work.await),
            Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
        };
        let (stdout, stderr) = (stdout.finish(), stderr.finish());
        match result {
            Ok(status) => Ok(Output {
                status: status?,
                stdout,
                stderr,
            }),
            Err(after) => Err(SshError::TimedOut {
                after,
                started,
                written: Box::new((stdout, stderr)),
            }),
        }
    }
}

async fn communicate(
    mut process: Process,
    stdin: Option<Bytes>,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<ExitStatus, SshError> {
    let writer = process.take_stdin();
    let write = async {
        if let (Some(mut writer), Some(bytes)) = (writer, stdin)
            && writer.write(bytes).await.is_ok()
        {
            writer.finish().await;
        }
        // A command that reads less than it is given may still end well.
        std::future::pending::<()>().await;
    };
    let read = async {
        while let Some(event) = process.next().await {
            match event {
                ProcessEvent::Stdout(bytes) => stdout.add(&bytes),
                ProcessEvent::Stderr(bytes) => stderr.add(&bytes),
            }
        }
        process.wait().await
    };
    tokio::select! {
        status = read => status,
        () = write => Err(SshError::Stopped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_kept_from_its_beginning_and_by_its_end() {
        let mut capture = Capture::new(10);
        for piece in ["hello ", "world", "!"] {
            capture.add(piece.as_bytes());
        }
        let captured = capture.finish();
        assert_eq!(captured.text(), "hello worl");
        assert_eq!((captured.dropped, captured.is_complete()), (2, false));
        assert_eq!(captured.tail_text(), "hello world!");
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut capture = Capture::new(0);
        let stream: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
        for piece in stream.chunks(7001) {
            capture.add(piece);
        }
        let captured = capture.finish();
        assert_eq!(captured.tail, &stream[stream.len() - TAIL_BYTES..]);
        assert_eq!((captured.bytes.len(), captured.dropped), (0, 50_000));
    }

    #[test]
    fn output_and_stdin_do_not_show_in_debug() {
        let mut capture = Capture::new(100);
        capture.add(b"hunter2");
        let text = format!("{:?} {:?}", capture.finish(), Stdin::from("hunter2"));
        assert_eq!(text, "Captured { bytes: 7, dropped: 0, .. } Bytes(7 bytes)");
    }
}
