//! The life of one command on the wire: channel, launcher, command line, output, end.
//!
//! Each command has a task of its own that owns its channel from the open to the close, so that
//! a caller who goes away leaves neither a channel nor a process behind. How a command is ended
//! against its will is in [`stop`].

mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::connection::{Connection, Patience};
use super::preamble::Preamble;
use super::process::{ExitStatus, Process, ProcessEvent, StdinWriter};
use super::script::LAUNCHER;
use super::{Script, SshError};

/// Pieces of output that wait between the command's task and the caller.
const EVENTS_WAITING: usize = 16;

/// `SSH_EXTENDED_DATA_STDERR` (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Starts a command. Returns when the server has accepted it and its line is on the way.
///
/// A [`SshError::LinkLost`] with `started: false` means that nothing of it can have run.
pub(super) async fn start(
    connection: Arc<Connection>,
    line: String,
    with_stdin: bool,
) -> Result<Process, SshError> {
    let commands_started = Arc::clone(&connection.commands_started);
    let closing = connection.closing();
    launch(Job {
        connection,
        closing,
        commands_started,
        line,
        with_stdin,
        aside: false,
    })
    .await
}

/// Runs a command that is berth's own business to its end, within the grace for stopping. It
/// does not wait for a channel, is not counted, and goes on while the connection is closing.
pub(super) async fn run_aside(
    connection: Arc<Connection>,
    script: &Script,
) -> Result<ExitStatus, SshError> {
    let line = script.wire_line()?;
    let limit = connection.stop_grace;
    let (_open, closing) = watch::channel(false);
    let commands_started = Arc::default();
    let job = Job {
        connection,
        closing,
        commands_started,
        line,
        with_stdin: false,
        aside: true,
    };
    let work = async { launch(job).await?.wait().await };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(SshError::Stopped),
    }
}

/// What a task is given.
struct Job {
    connection: Arc<Connection>,
    closing: watch::Receiver<bool>,
    commands_started: Arc<AtomicU64>,
    line: String,
    with_stdin: bool,
    /// One that ends another: it takes no other one's place and is not ended by a third.
    aside: bool,
}

async fn launch(job: Job) -> Result<Process, SshError> {
    let (events_sender, events) = mpsc::channel(EVENTS_WAITING);
    let (ready, started) = oneshot::channel();
    let (end_sender, end) = oneshot::channel();
    let span = tracing::debug_span!(
        "ssh.command",
        trip = tracing::field::Empty,
        duration_ms = tracing::field::Empty,
        stdout_bytes = tracing::field::Empty,
        stderr_bytes = tracing::field::Empty,
    );
    let listened = Arc::new(AtomicBool::new(false));
    let task = Task {
        job,
        listened: Arc::clone(&listened),
        events: events_sender,
        ready: Some(ready),
        line_sent: false,
        ended: watch::Sender::new(()),
        stdout: Stream::default(),
        stderr: Stream::default(),
        pid: None,
        status: None,
        eof: false,
    };
    let run = async move {
        let result = task.run().await;
        // Nobody waits for the end of a command that was dropped.
        drop(end_sender.send(result));
    };
    tokio::spawn(run.instrument(span));
    match started.await {
        Ok(Ok(Started { trip, stdin })) => Ok(Process {
            events,
            end,
            stdin,
            trip,
            listened,
        }),
        Ok(Err(error)) => Err(error),
        // The task ended without a word: only if the runtime is being shut down.
        Err(_) => Err(SshError::Stopped),
    }
}

struct Started {
    trip: u64,
    stdin: Option<StdinWriter>,
}

struct Task {
    job: Job,
    /// Whether the command ends with its stdin.
    listened: Arc<AtomicBool>,
    events: mpsc::Sender<ProcessEvent>,
    /// Gone once the caller has been told that the command runs.
    ready: Option<oneshot::Sender<Result<Started, SshError>>>,
    line_sent: bool,
    /// Dropped with the task, which tells the writer of stdin.
    ended: watch::Sender<()>,
    stdout: Stream,
    stderr: Stream,
    /// The launcher's, which is that of the process group, and of a single command.
    pid: Option<u32>,
    status: Option<ExitStatus>,
    eof: bool,
}

/// One of the two output streams.
struct Stream {
    /// Gone once the launcher has spoken; what follows is the command's.
    preamble: Option<Preamble>,
    bytes: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            preamble: Some(Preamble::default()),
            bytes: 0,
        }
    }
}

/// What a message of the server means.
enum Message {
    Accepted,
    Refused,
    Output(ProcessEvent),
    Closed,
    Other,
}

impl Task {
    async fn run(mut self) -> Result<ExitStatus, SshError> {
        let begun = Instant::now();
        let result = self.attempt().await;
        tracing::Span::current()
            .record(
                "duration_ms",
                u64::try_from(begun.elapsed().as_millis()).ok(),
            )
            .record("stdout_bytes", self.stdout.bytes)
            .record("stderr_bytes", self.stderr.bytes);
        match &result {
            Ok(status) => tracing::debug!(%status, "the command ended"),
            Err(error) => tracing::debug!(%error, "the command came to no end"),
        }
        if let (Some(ready), Err(error)) = (self.ready.take(), &result) {
            drop(ready.send(Err(error.clone())));
        }
        result
    }

    async fn attempt(&mut self) -> Result<ExitStatus, SshError> {
        let events = self.events.clone();
        let mut closing = self.job.closing.clone();
        let connection = Arc::clone(&self.job.connection);
        let cancelled = async {
            tokio::select! {
                () = events.closed() => {}
                // An error says that nobody can close any more.
                Ok(_) = closing.wait_for(|closing| *closing) => {}
                else => {}
            }
        };
        tokio::pin!(cancelled);
        let patience = if self.job.aside {
            Patience::None
        } else {
            Patience::Wait
        };
        let channel = connection.open_channel(&mut cancelled, patience).await?;
        let (mut output, input) = channel.split();
        let input = Arc::new(input);
        if input.exec(true, LAUNCHER).await.is_err() {
            return Err(self.lost().await);
        }
        let line = Bytes::from(std::mem::take(&mut self.job.line));
        // sshd opens the window only when it has accepted the request, so this waits for that.
        let send_line = async { input.data_bytes(line).await };
        tokio::pin!(send_line);
        let mut accepted = false;
        loop {
            tokio::select! {
                message = output.wait() => match self.understand(message).await? {
                    Message::Other => {}
                    Message::Closed => break,
                    Message::Accepted => {
                        accepted = true;
                        self.report_start(accepted, &input);
                    }
                    Message::Refused => {
                        self.close(&mut output, &input).await;
                        return Err(SshError::ExecRefused);
                    }
                    Message::Output(event) => {
                        let passed_on = tokio::select! {
                            sent = self.events.send(event) => sent.is_ok(),
                            () = &mut cancelled => false,
                        };
                        if !passed_on {
                            self.end_it(&mut output, &input).await;
                            return Err(SshError::Stopped);
                        }
                    }
                },
                sent = &mut send_line, if !self.line_sent => {
                    if sent.is_err() {
                        return Err(self.lost().await);
                    }
                    self.line_sent = true;
                    if !self.job.with_stdin {
                        drop(input.eof().await);
                    }
                    self.report_start(accepted, &input);
                }
                () = &mut cancelled => {
                    self.end_it(&mut output, &input).await;
                    return Err(SshError::Stopped);
                }
            }
        }
        self.conclude()
    }

    fn conclude(&mut self) -> Result<ExitStatus, SshError> {
        let status = self.status.take().ok_or(SshError::NoExitStatus)?;
        if self.pid.is_some() {
            return Ok(status);
        }
        let said = [&self.stdout, &self.stderr]
            .into_iter()
            .filter_map(|stream| Some(stream.preamble.as_ref()?.noise()))
            .filter(|noise| !noise.is_empty())
            .collect::<Vec<_>>()
            .join("\n");
        Err(SshError::NoShell { said })
    }

    /// Tells the caller that the command runs, once the server has accepted the launcher and
    /// the line has been handed over: before that, stdin would get ahead of the line.
    fn report_start(&mut self, accepted: bool, input: &Arc<ChannelWriteHalf<Msg>>) {
        if !accepted || !self.line_sent {
            return;
        }
        let Some(ready) = self.ready.take() else {
            return;
        };
        let trip = self.job.commands_started.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::Span::current().record("trip", trip);
        let stdin = self.job.with_stdin.then(|| StdinWriter {
            channel: Arc::clone(input),
            ended: self.ended.subscribe(),
        });
        // If the caller has gone, `cancelled` is the next to be noticed.
        drop(ready.send(Ok(Started { trip, stdin })));
    }

    async fn understand(&mut self, message: Option<ChannelMsg>) -> Result<Message, SshError> {
        let Some(message) = message else {
            // The channel went with the connection. What has been proven remains.
            if self.status.is_some() && self.eof {
                return Ok(Message::Closed);
            }
            return Err(self.lost().await);
        };
        Ok(match message {
            ChannelMsg::Success => Message::Accepted,
            ChannelMsg::Failure => Message::Refused,
            ChannelMsg::Close => Message::Closed,
            ChannelMsg::Eof => {
                self.eof = true;
                Message::Other
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(ExitStatus::Code(exit_status));
                Message::Other
            }
            ChannelMsg::ExitSignal {
                signal_name,
                core_dumped,
                error_message,
                ..
            } => {
                let name = signal_text(&signal_name);
                let message = error_message;
                self.status = Some(ExitStatus::Signal {
                    name,
                    core_dumped,
                    message,
                });
                Message::Other
            }
            ChannelMsg::Data { data } => {
                self.output(data, |task| &mut task.stdout, ProcessEvent::Stdout)
            }
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                self.output(data, |task| &mut task.stderr, ProcessEvent::Stderr)
            }
            _ => Message::Other,
        })
    }

    fn output(
        &mut self,
        mut data: Bytes,
        stream: fn(&mut Self) -> &mut Stream,
        event: fn(Bytes) -> ProcessEvent,
    ) -> Message {
        if let Some(preamble) = &mut stream(self).preamble {
            let Some((pid, rest)) = preamble.hear(&data) else {
                return Message::Other;
            };
            stream(self).preamble = None;
            self.pid = Some(pid);
            data = rest;
        }
        if data.is_empty() {
            return Message::Other;
        }
        stream(self).bytes += data.len() as u64;
        Message::Output(event(data))
    }

    async fn lost(&self) -> SshError {
        let reason = self.job.connection.loss().await;
        SshError::LinkLost {
            reason,
            started: self.line_sent,
        }
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
