//! The log of one run of a container: what it wrote, when, up to a bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use chrono::Utc;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use crate::api::runtime::{LogLine, LogSource};

/// Where a kubelet rotates by default (`containerLogMaxSize`): a new file begins, and only that one is
/// shown. A reader that had not come to the end of the old file is not given the rest of it.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// What containerd writes before each line: the time, the stream and whether the line is whole.
const PREFIX: usize = "2026-11-21T01:44:22.123456789Z stdout F ".len();

/// A longer line is cut, as containerd cuts it.
const MAX_LINE: usize = 16 * 1024;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Mutex<Lines>,
    /// Counts lines; readers wait on it.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Vec<LogLine>,
    bytes: usize,
    /// How many lines were dropped before the first kept one.
    dropped: u64,
    ended: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            written: watch::channel(0).0,
        }
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: Bytes) {
        {
            let mut lines = self.lock();
            if lines.bytes > MAX_BYTES {
                lines.dropped += lines.kept.len() as u64;
                lines.bytes = 0;
                lines.kept.clear();
            }
            lines.bytes += PREFIX + bytes.len();
            lines.kept.push(LogLine {
                time: Utc::now(),
                bytes,
            });
        }
        self.written.send_modify(|count| *count += 1);
    }

    /// No more will come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.written.send_modify(|count| *count += 1);
    }

    /// Takes in one of the container's outputs until it is closed.
    pub(crate) async fn take_in(&self, mut output: impl AsyncRead + Unpin) {
        let mut open = BytesMut::new();
        loop {
            open.reserve(8 * 1024);
            let ended = matches!(output.read_buf(&mut open).await, Ok(0) | Err(_));
            while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                self.push(open.split_to(end + 1).freeze());
            }
            while open.len() > MAX_LINE {
                self.push(open.split_to(MAX_LINE).freeze());
            }
            if ended {
                if !open.is_empty() {
                    self.push(open.freeze());
                }
                return;
            }
        }
    }

    /// The last lines as text, for termination messages.
    pub(crate) fn tail(&self, max_lines: usize, max_bytes: usize) -> String {
        let lines = self.lock();
        let skip = lines.kept.len().saturating_sub(max_lines);
        let bytes: Vec<u8> = lines
            .kept
            .iter()
            .skip(skip)
            .flat_map(|line| line.bytes.iter().copied())
            .collect();
        let start = bytes.len().saturating_sub(max_bytes);
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// What there is, and what is still to come.
    pub(crate) fn read(self: &Arc<Self>) -> LogSource {
        let lines = self.lock();
        let past = lines.kept.clone();
        let next = lines.dropped + past.len() as u64;
        drop(lines);
        LogSource {
            past,
            follow: self.follow(next),
        }
    }

    fn follow(self: &Arc<Self>, next: u64) -> BoxStream<'static, LogLine> {
        let state = (Arc::clone(self), self.written.subscribe(), next);
        futures::stream::unfold(state, |(log, mut written, next)| async move {
            loop {
                written.mark_unchanged();
                let (line, ended) = log.line(next);
                if let Some(line) = line {
                    return Some((line, (log, written, next + 1)));
                }
                if ended || written.changed().await.is_err() {
                    return None;
                }
            }
        })
        .boxed()
    }

    /// The line with this number, and whether none will come: all is told, or it was rotated away.
    fn line(&self, number: u64) -> (Option<LogLine>, bool) {
        let lines = self.lock();
        let Some(at) = number.checked_sub(lines.dropped) else {
            return (None, true);
        };
        let index = usize::try_from(at).unwrap_or(usize::MAX);
        (lines.kept.get(index).cloned(), lines.ended)
    }
}

/// The logs that are kept, by container id.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    by_id: Mutex<HashMap<String, Arc<Log>>>,
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep(&self, id: &str, log: Arc<Log>) {
        self.lock().insert(id.to_owned(), log);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Log>> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }
}
