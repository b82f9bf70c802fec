//! Ending a command against its will, and freeing its channel.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

use super::{Message, SshError, Task};

/// How long the server's own delivery of a signal gets before a `kill` is sent after it. Where
/// it works at all, it works within a round trip.
const DELIVERY: Duration = Duration::from_millis(300);

/// How long a command that is listened to may take to end once its stdin has.
const TO_HEED: Duration = Duration::from_secs(1);

impl Task {
    /// Ends the command on the host: SIGTERM, after the grace SIGKILL, after that again its
    /// channel is closed over its head. The signals go to its process group.
    ///
    /// Its stdin is not closed before it had its chance to die: it could take that for the end
    /// of its input and act on half of it.
    pub(super) async fn end_it(
        &mut self,
        output: &mut ChannelReadHalf,
        input: &Arc<ChannelWriteHalf<Msg>>,
    ) {
        if self.line_sent && self.listened.load(Ordering::Relaxed) {
            self.end_stdin(output, input).await;
            return;
        }
        // Without its line the launcher runs nothing, and ends when the channel is closed. A login shell
        // that has not started it may hang.
        if !self.line_sent && self.pid.is_none() {
            let channel = Arc::clone(input);
            tokio::spawn(async move { channel.signal(Sig::TERM).await });
        }
        if self.line_sent {
            for (signal, name) in [(Sig::TERM, "TERM"), (Sig::KILL, "KILL")] {
                tracing::debug!(signal = name, "ending the command");
                if self.signal(signal, name, output, input).await {
                    return;
                }
            }
            if !self.job.aside {
                tracing::warn!(
                    pid = self.pid,
                    "a command did not end; its channel is closed"
                );
            }
        }
        self.close(output, input).await;
    }

    /// Ends a command that has not begun in time. The error is this one, unless the host does not answer
    /// on this connection at all: then nothing is known of its login shell.
    pub(super) async fn not_begun(
        &mut self,
        output: &mut ChannelReadHalf,
        input: &Arc<ChannelWriteHalf<Msg>>,
        error: SshError,
    ) -> SshError {
        let connection = Arc::clone(&self.job.connection);
        let answers = connection.answers();
        tokio::pin!(answers);
        // What still comes is read meanwhile: russh hands over nothing else before.
        let mut is_open = true;
        let answers = loop {
            tokio::select! {
                answers = &mut answers => break answers,
                message = output.wait(), if is_open => {
                    is_open = message.is_some();
                    // The launcher's words may be what comes: then the command has begun.
                    if is_open {
                        drop(self.understand(message).await);
                    }
                }
            }
        };
        if !answers {
            return SshError::LinkLost {
                reason: "the host does not answer".to_owned(),
                started: self.line_sent,
            };
        }
        self.end_it(output, input).await;
        if self.has_begun() {
            SshError::Stopped
        } else {
            error
        }
    }

    /// Ends a command by the end of its stdin. One that does not heed it is root's most likely, and out of
    /// a signal's reach, so there is no long wait for what a signal does.
    async fn end_stdin(
        &mut self,
        output: &mut ChannelReadHalf,
        input: &Arc<ChannelWriteHalf<Msg>>,
    ) {
        // Detached, for the reason given below.
        let channel = Arc::clone(input);
        tokio::spawn(async move { channel.eof().await });
        if timeout(TO_HEED, self.drain(output)).await.is_err() {
            tracing::debug!(
                pid = self.pid,
                "a command outlives its stdin; its channel is closed"
            );
            let channel = Arc::clone(input);
            tokio::spawn(async move { channel.signal(Sig::TERM).await });
            self.close(output, input).await;
        }
    }

    /// Whether the command ended within the grace.
    async fn signal(
        &mut self,
        signal: Sig,
        name: &'static str,
        output: &mut ChannelReadHalf,
        input: &Arc<ChannelWriteHalf<Msg>>,
    ) -> bool {
        // Detached: russh's loop may be waiting for room in our channel, which is made below.
        let channel = Arc::clone(input);
        tokio::spawn(async move { channel.signal(signal).await });
        let deadline = Instant::now() + self.job.connection.stop_grace;
        let mut killed = self.job.aside;
        while Instant::now() < deadline {
            let pause = (Instant::now() + DELIVERY).min(deadline);
            if timeout_at(pause, self.drain(output)).await.is_ok() {
                return true;
            }
            if let (false, Some(pid)) = (killed, self.pid) {
                killed = true;
                let kill = Arc::clone(&self.job.connection).kill(name, pid);
                tokio::spawn(kill.in_current_span());
            }
        }
        false
    }

    /// Closes the channel from this side.
    pub(super) async fn close(
        &mut self,
        output: &mut ChannelReadHalf,
        input: &Arc<ChannelWriteHalf<Msg>>,
    ) {
        let limit = self.job.connection.stop_grace;
        let close = async {
            tokio::select! {
                // Meanwhile, for the reason given above.
                () = self.drain(output) => {}
                closed = input.close() => drop(closed),
            }
        };
        drop(timeout(limit, close).await);
        self.job.connection.gave_up(input.id());
    }

    /// Reads until the channel is closed or gone. Cancel safe.
    async fn drain(&mut self, output: &mut ChannelReadHalf) {
        while let Some(message) = output.wait().await {
            if matches!(
                self.understand(Some(message)).await,
                Ok(Message::Closed) | Err(_)
            ) {
                return;
            }
        }
    }
}
