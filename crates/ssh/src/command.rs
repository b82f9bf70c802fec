//! The life of one command on the wire: channel, launcher, command line, output, end.
//!
//! Each command has a task of its own that owns its channel from the open to the close, so that
//! a caller who goes away leaves neither a channel nor a process behind. How long it waits for the
//! launcher is in [`login`], how a command is ended against its will in [`stop`].

mod login;
mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::connection::{Connection, Patience};
use super::launcher::Launcher;
use super::preamble::{Preamble, Said};
use super::process::{ExitStatus, Process, ProcessEvent, StdinWriter};
use super::{LoginEnd, Script, SshError};
use login::{Step, Wait};

/// Pieces of output that wait between the command's task and the caller.
const EVENTS_WAITING: usize = 16;

/// `SSH_EXTENDED_DATA_STDERR` (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Starts a command. Returns when its launcher has been heard and its line has been handed over.
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
    let launcher = Launcher::new()?;
    let task = Task {
        wait: Wait::new(job.connection.launch_limit),
        job,
        listened: Arc::clone(&listened),
        events: events_sender,
        ready: Some(ready),
        line_sent: false,
        ended: watch::Sender::new(()),
        stdout: Stream::new(Preamble::stdout(launcher.mark())),
        stderr: Stream::new(Preamble::stderr(launcher.mark())),
        launcher,
        pid: None,
        is_half_heard: false,
        refused: None,
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
    launcher: Launcher,
    wait: Wait,
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
    /// The launcher's, which is that of the process group, and of a single command. None as long as
    /// the launcher has not been heard.
    pid: Option<u32>,
    /// Whether a blank line was sent when the launcher had been heard on one stream alone.
    is_half_heard: bool,
    /// How many blank lines had reached the launcher when it refused to evaluate anything.
    refused: Option<u32>,
    status: Option<ExitStatus>,
    eof: bool,
}

/// One of the two output streams.
struct Stream {
    /// Gone once the command begins; what follows is the command's.
    preamble: Option<Preamble>,
    /// Whether the launcher's mark has come.
    is_heard: bool,
    bytes: u64,
}

impl Stream {
    fn new(preamble: Preamble) -> Self {
        Self {
            preamble: Some(preamble),
            is_heard: false,
            bytes: 0,
        }
    }
}

/// What is on its way to the host, and whether it is the command's line.
type Sending<'a> = (bool, BoxFuture<'a, Result<(), russh::Error>>);

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
        if input.exec(true, self.launcher.request()).await.is_err() {
            return Err(self.lost().await);
        }
        let mut sending: Option<Sending<'_>> = None;
        let mut begin_by = Instant::now();
        let mut accepted = false;
        loop {
            // Nothing of the caller's leaves before the launcher has been heard.
            if sending.is_none() && self.is_heard() && self.awaits_line() {
                let line = Bytes::from(self.launcher.line(&self.job.line, self.wait.blanks()));
                self.job.line = String::new();
                sending = Some((true, Box::pin(input.data_bytes(line))));
            }
            tokio::select! {
                message = output.wait() => match self.understand(message).await? {
                    Message::Other => self.report_start(&input),
                    Message::Closed => break,
                    Message::Accepted => {
                        accepted = true;
                        self.wait.begin();
                    }
                    Message::Refused => {
                        self.close(&mut output, &input).await;
                        return Err(SshError::ExecRefused);
                    }
                    Message::Output(event) => {
                        self.report_start(&input);
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
                (is_line, sent) = next(&mut sending) => {
                    sending = None;
                    if sent.is_err() {
                        return Err(self.lost().await);
                    }
                    if is_line {
                        self.line_sent = true;
                        begin_by = Instant::now() + self.wait.limit();
                        if !self.job.with_stdin {
                            drop(input.eof().await);
                        }
                        self.report_start(&input);
                    }
                }
                step = self.wait.step(), if accepted && !self.is_heard() && sending.is_none() => match step {
                    // The launcher runs, and one of its streams leads elsewhere.
                    Step::Blank if self.is_half_heard => {
                        self.close(&mut output, &input).await;
                        return Err(self.no_launcher(LoginEnd::Redirected));
                    }
                    Step::Blank => {
                        self.is_half_heard = self.pid.is_some();
                        sending = Some((false, Box::pin(input.data_bytes(Bytes::from_static(b"\n")))));
                    }
                    // Detached: russh's loop may be waiting for room in our channel.
                    Step::End => {
                        let channel = Arc::clone(&input);
                        tokio::spawn(async move { channel.eof().await });
                    }
                    Step::GiveUp => {
                        let error = self.no_launcher(LoginEnd::Hung(self.wait.limit()));
                        return Err(self.not_begun(&mut output, &input, error).await);
                    }
                },
                // The launcher has not got the line, or not all of it.
                () = sleep_until(begin_by), if self.line_sent && !self.has_begun() => {
                    return Err(self.not_begun(&mut output, &input, SshError::StartupReadsStdin).await);
                }
                () = &mut cancelled => {
                    self.end_it(&mut output, &input).await;
                    return Err(SshError::Stopped);
                }
            }
        }
        self.conclude()
    }

    /// Whether the line can still be sent.
    fn awaits_line(&self) -> bool {
        !self.line_sent && !self.wait.has_ended() && self.refused.is_none()
    }

    /// Whether the launcher has been heard on both streams: where one of them leads elsewhere, output
    /// would be lost, and a missing answer be taken for an empty one.
    fn is_heard(&self) -> bool {
        self.stdout.is_heard && self.stderr.is_heard
    }

    /// Whether the launcher has said on both streams that the command begins.
    fn has_begun(&self) -> bool {
        self.stdout.preamble.is_none() && self.stderr.preamble.is_none()
    }

    fn conclude(&mut self) -> Result<ExitStatus, SshError> {
        let status = self.status.take().ok_or(SshError::NoExitStatus)?;
        if self.has_begun() {
            return Ok(status);
        }
        Err(match (self.refused, self.wait.has_ended()) {
            (Some(blanks), true) if blanks == self.wait.blanks() => {
                self.no_launcher(LoginEnd::Slow(self.wait.limit()))
            }
            (Some(_), _) => SshError::StartupReadsStdin,
            (None, true) => self.no_launcher(LoginEnd::EndOfStdin(self.wait.limit(), status)),
            (None, false) => self.no_launcher(LoginEnd::Ended(status)),
        })
    }

    /// The error for a launcher that was not heard, or ended before the command began.
    fn no_launcher(&self, end: LoginEnd) -> SshError {
        // Once the line is on its way, it may be in what the host says.
        let said = [&self.stdout, &self.stderr]
            .into_iter()
            .filter(|_| !self.line_sent)
            .filter_map(|stream| Some(stream.preamble.as_ref()?.noise()))
            .filter(|noise| !noise.is_empty())
            .collect::<Vec<_>>()
            .join("\n");
        SshError::NoShell { end, said }
    }

    /// Tells the caller that the command runs, once the launcher has accepted its line: something else
    /// may have read from stdin, and must get nothing of the caller's.
    fn report_start(&mut self, input: &Arc<ChannelWriteHalf<Msg>>) {
        if !self.line_sent || !self.has_begun() {
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
                let name = super::process::signal_name(&signal_name);
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
        if let Some(mut preamble) = stream(self).preamble.take() {
            preamble.push(&data);
            data = loop {
                match preamble.next() {
                    Some(Said::Runs(pid)) => {
                        self.pid = Some(pid);
                        stream(self).is_heard = true;
                    }
                    Some(Said::Refuses(blanks)) => self.refused = Some(blanks),
                    Some(Said::Begins(rest)) => break rest,
                    None => {
                        stream(self).preamble = Some(preamble);
                        return Message::Other;
                    }
                }
            };
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
            started: self.line_sent && self.refused.is_none(),
        }
    }
}

/// Waits until what is being sent has been handed over; for ever if there is nothing.
async fn next(sending: &mut Option<Sending<'_>>) -> (bool, Result<(), russh::Error>) {
    match sending {
        Some((is_line, sent)) => (*is_line, sent.await),
        None => std::future::pending().await,
    }
}
