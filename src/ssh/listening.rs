//! A command that is listened to: it runs until it ends or nobody listens any more.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{ExitStatus, Process, ProcessEvent, SshError};

/// How long a command may take to end once its stdin has.
const TO_END: Duration = Duration::from_secs(2);

/// A running command that ends with its stdin; see
/// [`Script::until_stdin_ends`](super::Script::until_stdin_ends).
///
/// Dropping it closes that stdin, which needs no command on the host: unlike a signal, it works for
/// every user and with every server. A command that does not heed it is ended as [`Process`] is.
#[derive(Debug)]
pub struct Listening(Option<Process>);

impl Listening {
    pub(super) fn new(process: Process) -> Self {
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

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(mut process) = self.0.take() else {
            return;
        };
        if let (Some(stdin), Ok(runtime)) = (process.take_stdin(), Handle::try_current()) {
            runtime.spawn(async move {
                stdin.finish().await;
                // When time is up, the process is dropped.
                drop(tokio::time::timeout(TO_END, process.wait()).await);
            });
        }
    }
}
