//! A command that runs on the host, as its caller sees it: output, stdin, an end.
//!
//! What goes over the wire for it is the work of [`super::command`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, oneshot, watch};

use super::SshError;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status; 0 is success.
    Code(u32),
    /// A signal ended it (RFC 4254, 6.10).
    Signal {
        /// Without `SIG`, such as `TERM`; `unnamed` when the server does not say which.
        name: String,
        /// Whether it left a core dump.
        core_dumped: bool,
        /// What the server adds; mostly empty.
        message: String,
    },
}

impl ExitStatus {
    /// Whether the command exited with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// The exit status, if it was not a signal that ended the command.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal { .. } => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal { name, .. } if name == UNNAMED => f.write_str("an unnamed signal"),
            Self::Signal { name, .. } => write!(f, "signal {name}"),
        }
    }
}

/// The name of a signal that the server does not name.
const UNNAMED: &str = "unnamed";

/// The name without `SIG`. A signal that RFC 4254 (6.10) does not list is sent as `NAME@DOMAIN`; OpenSSH
/// sends `SIG@openssh.com` for each of them (`sig2name` in its session.c).
pub(super) fn signal_name(signal: &Sig) -> String {
    let Sig::Custom(name) = signal else {
        return format!("{signal:?}");
    };
    let bare = name.split_once('@').map_or(name.as_str(), |(bare, _)| bare);
    match bare.strip_prefix("SIG").unwrap_or(bare) {
        "" => UNNAMED.to_owned(),
        bare => bare.to_owned(),
    }
}

/// A piece of output, as long as the server happened to send it: up to 32 KiB.
#[derive(Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// From stdout.
    Stdout(Bytes),
    /// From stderr.
    Stderr(Bytes),
}

impl fmt::Debug for ProcessEvent {
    // Output may be anything, also a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout(bytes) => write!(f, "Stdout({} bytes)", bytes.len()),
            Self::Stderr(bytes) => write!(f, "Stderr({} bytes)", bytes.len()),
        }
    }
}

/// A running command. Dropping it ends the command on the host, in the background: SIGTERM,
/// after [`stop_grace`](crate::SshLimits::stop_grace) SIGKILL, after that again its channel is
/// closed. The signals reach the whole process group. sshd delivers none to a command that
/// `ForceCommand` or `command=` has put in the place of ours; there, only the closing helps.
///
/// # Back-pressure
///
/// Read on. About 2.5 MiB of output wait for a slow reader; then the whole connection waits
/// with it, other commands included, since russh opens the channel's window (RFC 4254, 5.2)
/// before anyone has read. For a reader of unknown speed use
/// [`SshClient::separate`](super::SshClient::separate). The command on the host is held up as
/// well, so that memory stays bounded.
#[derive(Debug)]
pub struct Process {
    pub(super) events: mpsc::Receiver<ProcessEvent>,
    pub(super) end: oneshot::Receiver<Result<ExitStatus, SshError>>,
    pub(super) stdin: Option<StdinWriter>,
    pub(super) trip: u64,
    /// Whether the command ends with its stdin.
    pub(super) listened: Arc<AtomicBool>,
}

impl Process {
    /// The next piece of output, `None` when there is no more; then [`wait`](Self::wait).
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        self.events.recv().await
    }

    /// The writing end of the command's stdin. `None` if it was taken before, or if the command
    /// was started without one.
    pub fn take_stdin(&mut self) -> Option<StdinWriter> {
        self.stdin.take()
    }

    /// Which of the client's commands this is, from 1.
    #[must_use]
    pub fn trip(&self) -> u64 {
        self.trip
    }

    /// How the command ended. Output that has not been read is thrown away.
    ///
    /// # Errors
    ///
    /// [`SshError::LinkLost`] or [`SshError::NoExitStatus`] if that is not known.
    pub async fn wait(mut self) -> Result<ExitStatus, SshError> {
        while self.events.recv().await.is_some() {}
        match self.end.await {
            Ok(result) => result,
            Err(_) => Err(SshError::Stopped),
        }
    }

    /// Ends the command as dropping does, and returns when it has ended or has been given up.
    pub async fn stop(self) {
        drop(self.events);
        drop(self.end.await);
    }
}

/// The writing end of a command's stdin.
///
/// Dropped without [`finish`](Self::finish), it leaves the stdin open: a command can't tell an
/// end that came too soon from the real one, and would act on half a manifest.
pub struct StdinWriter {
    pub(super) channel: Arc<ChannelWriteHalf<Msg>>,
    /// Closes with the command.
    pub(super) ended: watch::Receiver<()>,
}

impl fmt::Debug for StdinWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StdinWriter")
    }
}

/// The command takes no more input: it has ended, or its connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command takes no more input")]
pub struct StdinClosed;

impl StdinWriter {
    /// Sends bytes, waiting while the command reads none. Read its output meanwhile: a command
    /// that can't write may not read.
    ///
    /// Not cancel safe: it is unknown how much was sent if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`StdinClosed`] if the command has ended; how, [`Process::wait`] tells.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), StdinClosed> {
        tokio::select! {
            biased;
            _ = self.ended.changed() => Err(StdinClosed),
            sent = self.channel.data_bytes(bytes) => sent.map_err(|_| StdinClosed),
        }
    }

    /// Tells the command that this was all.
    pub async fn finish(self) {
        // If it can't be sent, the connection is gone, and with it the need.
        drop(self.channel.eof().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_as_the_server_means_them() {
        let custom = |name: &str| Sig::Custom(name.to_owned());
        for (signal, shown) in [
            (Sig::KILL, "signal KILL"),
            (custom("XCPU@openssh.com"), "signal XCPU"),
            (custom("SIGXFSZ@x.org"), "signal XFSZ"),
            (custom("BUS"), "signal BUS"),
            (custom("SIG@openssh.com"), "an unnamed signal"),
            (custom(""), "an unnamed signal"),
        ] {
            let status = ExitStatus::Signal {
                name: signal_name(&signal),
                core_dumped: false,
                message: String::new(),
            };
            assert_eq!(status.to_string(), shown);
        }
    }
}
