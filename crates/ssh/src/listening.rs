//! A command that is listened to: it runs until it ends or nobody listens any more.

use std::sync::atomic::Ordering;

use super::{ExitStatus, Process, ProcessEvent, SshError};

/// A running command that ends with its stdin; see
/// [`Script::until_stdin_ends`](super::Script::until_stdin_ends).
///
/// Dropping it closes that stdin, which needs no command on the host: unlike a signal, it works with
/// every server. Where the command has not ended within a second, its channel is closed over its head.
/// That is the case where it runs under sudo: the SSH user may not end what is root's. It stays until it
/// ends by itself, or finds nobody to write to, so its time is to be bounded where it is made.
#[derive(Debug)]
pub struct Listening(Option<Process>);

impl Listening {
    pub(super) fn new(process: Process) -> Self {
        process.listened.store(true, Ordering::Relaxed);
        Self(Some(process))
    }

    /// As [`Process::next`].
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        self.0.as_mut()?.next().await
    }

    /// As [`Process::trip`].
    #[must_use]
    pub fn trip(&self) -> u64 {
        self.0.as_ref().map_or(0, Process::trip)
    }

    /// As [`Process::wait`].
    ///
    /// # Errors
    ///
    /// As [`Process::wait`].
    pub async fn wait(mut self) -> Result<ExitStatus, SshError> {
        match self.0.take() {
            Some(process) => process.wait().await,
            None => Err(SshError::Stopped),
        }
    }
}
