//! What two API watches say that run in one command, one on each output stream.
//!
//! Follows <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch>: without
//! a resource version a watch begins with the state as it is, as `ADDED` events, each event one line
//! of JSON.

use std::{collections::VecDeque, time::Duration};

use berth_ssh::{Listening, ProcessEvent};
use futures::{StreamExt as _, stream, stream::BoxStream};
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    super::{ClusterError, ObjectChange, Reply, Status, status::is_expired},
    reads::unexpected,
    reply::{classify, is_failure, is_noise},
};

const ACT: &str = "watch";

/// How long the rest may follow after kubectl's first words of failure.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The longest line that is taken for an event, in bytes: an object has at most 1.5 MiB in etcd.
const LINE_MAX: usize = 8 * 1024 * 1024;

/// The changes that a process reports which runs the watches.
pub(in crate::kubectl) fn stream(
    process: Listening,
) -> BoxStream<'static, Result<ObjectChange, ClusterError>> {
    let watching = Watching {
        process: Some(process),
        stdout: Lines::default(),
        stderr: Lines::default(),
        words: String::new(),
        has_failed: false,
        ready: VecDeque::new(),
    };
    stream::unfold(watching, |mut watching| async move {
        watching.next().await.map(|item| (item, watching))
    })
    .boxed()
}

struct Watching {
    /// Gone after the end.
    process: Option<Listening>,
    stdout: Lines,
    stderr: Lines,
    /// kubectl's and the host's own lines, without noise.
    words: String,
    /// Whether one of them tells a failure.
    has_failed: bool,
    ready: VecDeque<Result<ObjectChange, ClusterError>>,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<ObjectChange, ClusterError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                if item.is_err() {
                    // Dropping the process ends what still runs on the host.
                    self.process = None;
                    self.ready.clear();
                }
                return Some(item);
            }
            let process = self.process.as_mut()?;
            let event = if self.has_failed {
                // One of the two has said something and may be about to end. The exit code is that of
                // the pods' watch, which fails for the same reason more often than not.
                let Ok(event) = tokio::time::timeout(LAST_WORDS, process.next()).await else {
                    self.ready.push_back(Err(classify(self.reply(Some(1)))));
                    continue;
                };
                event
            } else {
                process.next().await
            };
            match event {
                Some(ProcessEvent::Stdout(bytes)) => {
                    for line in self.stdout.push(&bytes) {
                        self.take(&line);
                    }
                }
                Some(ProcessEvent::Stderr(bytes)) => {
                    for line in self.stderr.push(&bytes) {
                        self.take(&line);
                    }
                }
                None => {
                    let process = self.process.take()?;
                    let last = [self.stdout.rest(), self.stderr.rest()];
                    for line in &last {
                        self.take(line);
                    }
                    if let Some(error) = self.end(process).await {
                        self.ready.push_back(Err(error));
                    }
                }
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        match read_line(line) {
            Line::Nothing => {}
            Line::Change(change) => self.ready.push_back(Ok(change)),
            Line::Broken(error) => self.ready.push_back(Err(error)),
            Line::Expired => self.process = None,
            Line::Words(line) => {
                if !is_noise(&line) {
                    self.has_failed |= is_failure(&line);
                    self.words.push_str(&line);
                    self.words.push('\n');
                }
            }
        }
    }

    async fn end(&self, process: Listening) -> Option<ClusterError> {
        match process.wait().await {
            Ok(status) if status.success() && !self.has_failed => None,
            Ok(status) if status.success() => Some(classify(self.reply(Some(1)))),
            Ok(status) => Some(classify(self.reply(status.code()))),
            Err(error) => Some(error.into()),
        }
    }

    fn reply(&self, exit: Option<u32>) -> Reply {
        Reply {
            act: ACT.to_owned(),
            exit,
            text: self.words.clone(),
            ..Reply::default()
        }
    }
}

/// What one line of a watch is.
#[derive(Debug)]
enum Line {
    Nothing,
    Change(ObjectChange),
    /// The API server no longer has the history that the watch needs (410 Gone): look anew.
    Expired,
    /// kubectl's own words.
    Words(String),
    Broken(ClusterError),
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    type_: String,
    object: Value,
}

fn read_line(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Nothing;
    }
    if line.first() != Some(&b'{') {
        return Line::Words(String::from_utf8_lossy(line).into_owned());
    }
    match serde_json::from_slice(line) {
        Ok(event) => read_event(event).unwrap_or_else(Line::Broken),
        Err(error) => Line::Broken(unexpected(ACT, error.to_string())),
    }
}

fn read_event(event: Event) -> Result<Line, ClusterError> {
    let Event { type_, object } = event;
    if type_ == "ERROR" {
        let status = serde_json::from_value::<Status>(object)
            .map_err(|error| unexpected(ACT, error.to_string()))?;
        if is_expired(&status) {
            return Ok(Line::Expired);
        }
        let reply = Reply {
            act: ACT.to_owned(),
            text: status.message.clone().unwrap_or_default(),
            ..Reply::default()
        };
        return Err(ClusterError::from_status(&status, reply));
    }
    Ok(match type_.as_str() {
        "ADDED" | "MODIFIED" => Line::Change(ObjectChange::Is(object)),
        "DELETED" => Line::Change(ObjectChange::Gone(object)),
        _ => Line::Nothing,
    })
}

/// Cuts a stream into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The lines that these bytes complete, without their line ends.
    fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if self.0.len() > LINE_MAX || self.0.last() == Some(&b'\n') {
                let mut line = std::mem::take(&mut self.0);
                line.pop_if(|byte| *byte == b'\n');
                lines.push(line);
            }
        }
        lines
    }

    /// What came after the last line end.
    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
