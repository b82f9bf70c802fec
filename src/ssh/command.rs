//! The life of one command on the wire: channel, launcher, command line, output, end.
//!
//! Each command has a task of its own that owns its channel from the open to the close, so that
//! a caller who goes away leaves neither a channel nor a process behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::SshError;
use super::connection::Connection;
use super::process::{ExitStatus, Process, ProcessEvent, StdinWriter};
use super::script::LAUNCHER;

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
    let task = Task {
        closing: connection.closing(),
        connection,
        events: events_sender,
        ready: Some(ready),
        line: Some(line),
        with_stdin,
        ended: watch::Sender::new(()),
        counts: Counts {
            begun: Instant::now(),
            stdout: 0,
            stderr: 0,
        },
        status: None,
        eof: false,
    };
    tokio::spawn(
        async move {
            let result = task.run().await;
            // Nobody waits for the end of a command that was dropped.
            drop(end_sender.send(result));
        }
        .instrument(span),
    );
    match started.await {
        Ok(Ok(Started { trip, stdin })) => Ok(Process {
            events,
            end,
            stdin,
            trip,
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

struct Counts {
    begun: Instant,
    stdout: u64,
    stderr: u64,
}

struct Task {
    connection: Arc<Connection>,
    closing: watch::Receiver<bool>,
    events: mpsc::Sender<ProcessEvent>,
    /// Gone once the caller has been told that the command runs.
    ready: Option<oneshot::Sender<Result<Started, SshError>>>,
    /// Gone once it has been sent.
    line: Option<String>,
    with_stdin: bool,
    /// Dropped with the task, which tells the writer of stdin.
    ended: watch::Sender<()>,
    counts: Counts,
    status: Option<ExitStatus>,
    eof: bool,
}

/// What a message of the server means for the loop.
enum Step {
    GoOn,
    Accepted,
    Refused,
    Closed,
    Abandoned,
}

impl Task {
    async fn run(mut self) -> Result<ExitStatus, SshError> {
        let result = self.attempt().await;
        tracing::Span::current()
            .record(
                "duration_ms",
                u64::try_from(self.counts.begun.elapsed().as_millis()).ok(),
            )
            .record("stdout_bytes", self.counts.stdout)
            .record("stderr_bytes", self.counts.stderr);
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
        let mut closing = self.closing.clone();
        let connection = Arc::clone(&self.connection);
        let cancelled = async {
            tokio::select! {
                () = events.closed() => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        };
        tokio::pin!(cancelled);
        let channel = connection.open_channel(&mut cancelled).await?;
        let (mut output, input) = channel.split();
        let input = Arc::new(input);
        if input.exec(true, LAUNCHER).await.is_err() {
            return Err(self.lost().await);
        }
        let line = Bytes::from(self.line.clone().unwrap_or_default());
        // sshd opens the window only when it has accepted the request, so this waits for that.
        let send_line = async { input.data_bytes(line).await };
        tokio::pin!(send_line);
        let mut accepted = false;
        loop {
            tokio::select! {
                message = output.wait() => match self.take(message, &mut cancelled).await? {
                    Step::Refused => {
                        self.close(&mut output, &input).await;
                        return Err(SshError::ExecRefused);
                    }
                    Step::GoOn => {}
                    Step::Accepted => {
                        accepted = true;
                        self.report_start(accepted, &input);
                    }
                    Step::Closed => break,
                    Step::Abandoned => {
                        self.end_it(&mut output, &input).await;
                        return Err(SshError::Stopped);
                    }
                },
                sent = &mut send_line, if self.line.is_some() => {
                    if sent.is_err() {
                        return Err(self.lost().await);
                    }
                    self.line = None;
                    if !self.with_stdin {
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
        self.status.take().ok_or(SshError::NoExitStatus)
    }

    /// Tells the caller that the command runs, once the server has accepted the launcher and
    /// the line has been handed over: before that, stdin would get ahead of the line.
    fn report_start(&mut self, accepted: bool, input: &Arc<ChannelWriteHalf<Msg>>) {
        if !accepted || self.line.is_some() {
            return;
        }
        let Some(ready) = self.ready.take() else {
            return;
        };
        let trip = self
            .connection
            .commands_started
            .fetch_add(1, Ordering::Relaxed)
            + 1;
        tracing::Span::current().record("trip", trip);
        let stdin = self.with_stdin.then(|| StdinWriter {
            channel: Arc::clone(input),
            ended: self.ended.subscribe(),
        });
        // If the caller has gone, `cancelled` is the next to be noticed.
        drop(ready.send(Ok(Started { trip, stdin })));
    }

    async fn take(
        &mut self,
        message: Option<ChannelMsg>,
        cancelled: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Step, SshError> {
        let Some(message) = message else {
            // The channel went with the connection. What has been proven remains.
            if self.status.is_some() && self.eof {
                return Ok(Step::Closed);
            }
            return Err(self.lost().await);
        };
        let event = match message {
            ChannelMsg::Success => return Ok(Step::Accepted),
            ChannelMsg::Failure => return Ok(Step::Refused),
            ChannelMsg::Close => return Ok(Step::Closed),
            ChannelMsg::Eof => {
                self.eof = true;
                return Ok(Step::GoOn);
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(ExitStatus::Code(exit_status));
                return Ok(Step::GoOn);
            }
            ChannelMsg::ExitSignal {
                signal_name,
                core_dumped,
                error_message,
                ..
            } => {
                let name = signal_text(&signal_name);
                self.status = Some(ExitStatus::Signal {
                    name,
                    core_dumped,
                    message: error_message,
                });
                return Ok(Step::GoOn);
            }
            ChannelMsg::Data { data } => {
                self.counts.stdout += data.len() as u64;
                ProcessEvent::Stdout(data)
            }
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                self.counts.stderr += data.len() as u64;
                ProcessEvent::Stderr(data)
            }
            _ => return Ok(Step::GoOn),
        };
        tokio::select! {
            sent = self.events.send(event) => Ok(if sent.is_ok() { Step::GoOn } else { Step::Abandoned }),
            () = cancelled => Ok(Step::Abandoned),
        }
    }

    async fn lost(&self) -> SshError {
        let reason = self.connection.loss().await;
        SshError::LinkLost {
            reason,
            started: self.line.is_none(),
        }
    }

    /// Ends the command on the host, whether it wants to or not, and frees its channel.
    ///
    /// Its stdin is not closed before it had its chance to die: it could take that for the end
    /// of its input and act on half of it.
    async fn end_it(&mut self, output: &mut ChannelReadHalf, input: &ChannelWriteHalf<Msg>) {
        // Without its line the launcher runs nothing, and ends when the channel is closed.
        if self.line.is_none() {
            for signal in [Sig::TERM, Sig::KILL] {
                tracing::debug!(signal = signal_text(&signal), "ending the command");
                let ended = async {
                    if input.signal(signal).await.is_err() {
                        return;
                    }
                    drain(output).await;
                };
                if within(self.connection.stop_grace, ended).await {
                    return;
                }
            }
            tracing::warn!("the host did not end a command; its channel is closed");
        }
        self.close(output, input).await;
    }

    async fn close(&self, output: &mut ChannelReadHalf, input: &ChannelWriteHalf<Msg>) {
        let close = async {
            let drained = drain(output);
            tokio::pin!(drained);
            // Draining meanwhile: russh's loop may be waiting for room in our channel.
            tokio::select! {
                () = &mut drained => {}
                closed = input.close() => drop(closed),
            }
        };
        within(self.connection.stop_grace, close).await;
        self.connection.gave_up(input.id());
    }
}

/// Reads until the channel is closed.
async fn drain(output: &mut ChannelReadHalf) {
    while let Some(message) = output.wait().await {
        if matches!(message, ChannelMsg::Close) {
            return;
        }
    }
}

async fn within(limit: Duration, work: impl Future<Output = ()>) -> bool {
    timeout(limit, work).await.is_ok()
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
