//! The way in: one connection that is made when it is needed, shared by all clones, and made
//! anew when it was lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::connection::Connection;
use super::process::Process;
use super::{Listening, Script, SshError, SshSettings, Tunnel, command};

/// The pause after the first failed attempt to connect; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Runs commands on the host.
///
/// Cheap to clone; all clones share one connection. It is made by the first operation that
/// needs it, whoever else needs it meanwhile waits for the same attempt. When it was lost, the
/// operations on it fail with [`SshError::LinkLost`], and the next one connects anew.
///
/// After a failed attempt the next one waits: 250 ms, doubling up to
/// [`backoff_max`](crate::SshLimits::backoff_max), shortened at random by up to half. A refusal
/// (key, host key, login) is not tried again within that time but answered at once with the
/// same error, so that a wrong key does not look like an attack.
#[derive(Clone)]
pub struct SshClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<SshSettings>,
    lane: Arc<Mutex<Lane>>,
    /// Attempts that have failed, to notice one that failed while waiting for the lane.
    failed_attempts: AtomicU64,
    commands_started: Arc<AtomicU64>,
}

#[derive(Default)]
struct Lane {
    connection: Option<Arc<Connection>>,
    /// In a row.
    failures: u32,
    last_failure: Option<(SshError, Instant)>,
}

impl fmt::Debug for SshClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshClient")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl SshClient {
    /// A client for these settings. Does no I/O.
    #[must_use]
    pub fn new(settings: SshSettings) -> Self {
        Self::with(Arc::new(settings), Arc::default())
    }

    fn with(settings: Arc<SshSettings>, commands_started: Arc<AtomicU64>) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                lane: Arc::default(),
                failed_attempts: AtomicU64::new(0),
                commands_started,
            }),
        }
    }

    /// A client for the same host with a connection of its own, whose commands are counted with
    /// those of this one. For long streams to readers of unknown speed, which would otherwise
    /// hold up everybody: see [`Process`].
    #[must_use]
    pub fn separate(&self) -> Self {
        Self::with(
            Arc::clone(&self.shared.settings),
            Arc::clone(&self.shared.commands_started),
        )
    }

    /// What the client was made from.
    #[must_use]
    pub fn settings(&self) -> &SshSettings {
        &self.shared.settings
    }

    /// How many commands the host has accepted from this client, its clones and its
    /// [separate](Self::separate) ones.
    #[must_use]
    pub fn commands_started(&self) -> u64 {
        self.shared.commands_started.load(Ordering::Relaxed)
    }

    /// Connects now, if there is no living connection. The operations do that by themselves.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from connecting.
    pub async fn connect(&self) -> Result<(), SshError> {
        self.connection().await.map(drop)
    }

    /// Starts a command with an open stdin, whose end the caller sends: see
    /// [`Process::take_stdin`]. For a command that reads nothing use
    /// [`spawn_without_stdin`](Self::spawn_without_stdin).
    ///
    /// Waits for a channel if the server has no more to give.
    ///
    /// # Errors
    ///
    /// Any [`SshError`] but those about the end of a command.
    pub async fn spawn(&self, script: &Script) -> Result<Process, SshError> {
        self.start(script, true).await
    }

    /// Starts a command that runs until it ends or its listener is dropped. The script is one of
    /// those that [end with their stdin](Script::until_stdin_ends).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub async fn listen(&self, script: &Script) -> Result<Listening, SshError> {
        self.spawn(script).await.map(Listening::new)
    }

    /// Starts a command that finds its stdin empty.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    pub async fn spawn_without_stdin(&self, script: &Script) -> Result<Process, SshError> {
        self.start(script, false).await
    }

    /// Opens a TCP connection from the host, as `ssh -W` does. A host name is looked up there, and the
    /// server may serve nothing else of this connection meanwhile: use a [separate](Self::separate) one.
    ///
    /// # Errors
    ///
    /// [`SshError::ChannelRefused`] when the server forbids it or can't connect, and whatever keeps this
    /// client from connecting.
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, SshError> {
        let connection = self.connection().await?;
        let channel = connection.open_tunnel(host, port).await?;
        Ok(Tunnel::new(channel.into_stream(), connection))
    }

    pub(super) async fn start(
        &self,
        script: &Script,
        with_stdin: bool,
    ) -> Result<Process, SshError> {
        let line = script.wire_line()?;
        let connection = self.connection().await?;
        match command::start(connection, line.clone(), with_stdin).await {
            // The connection had died without anyone noticing. Nothing ran, so once more.
            Err(SshError::LinkLost {
                started: false,
                reason,
            }) => {
                tracing::debug!(reason, "the connection was dead; connecting anew");
                command::start(self.connection().await?, line, with_stdin).await
            }
            result => result,
        }
    }

    /// Ends the commands that still run, as dropping them does, then says goodbye to the host.
    /// An operation after that connects anew.
    pub async fn close(&self) {
        let connection = self.shared.lane.lock().await.connection.take();
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    /// The living connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, SshError> {
        let failed_before = self.shared.failed_attempts.load(Ordering::SeqCst);
        let lane = Arc::clone(&self.shared.lane).lock_owned().await;
        if let Some(connection) = &lane.connection
            && connection.is_alive()
        {
            return Ok(Arc::clone(connection));
        }
        // In a task of its own: an attempt is for all who wait, and goes on if the one who
        // happened to begin it goes away.
        let attempt = Arc::clone(&self.shared).reconnect(lane, failed_before);
        match tokio::spawn(attempt.in_current_span()).await {
            Ok(result) => result,
            // Only if the runtime is being shut down.
            Err(_) => Err(SshError::Stopped),
        }
    }
}

impl Shared {
    async fn reconnect(
        self: Arc<Self>,
        mut lane: OwnedMutexGuard<Lane>,
        failed_before: u64,
    ) -> Result<Arc<Connection>, SshError> {
        lane.connection = None;
        if let Some((error, retry_at)) = lane.last_failure.clone() {
            // Whoever waited for an attempt that failed has had its attempt.
            let failed_meanwhile = self.failed_attempts.load(Ordering::SeqCst) != failed_before;
            if failed_meanwhile || (error.is_refusal() && Instant::now() < retry_at) {
                return Err(error);
            }
            sleep_until(retry_at).await;
        }
        match Connection::establish(&self.settings, Arc::clone(&self.commands_started)).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *lane = Lane {
                    connection: Some(Arc::clone(&connection)),
                    ..Lane::default()
                };
                Ok(connection)
            }
            Err(error) => {
                let pause = pause(lane.failures, self.settings.limits.backoff_max, random());
                lane.failures = lane.failures.saturating_add(1);
                lane.last_failure = Some((error.clone(), Instant::now() + pause));
                self.failed_attempts.fetch_add(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }
}

/// The pause after a failure that came after `failures` others: between half and all of an
/// exponentially growing time. `random` is from 0 to 1.
pub(super) fn pause(failures: u32, max: Duration, random: f64) -> Duration {
    let full = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(max);
    full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

pub(super) fn random() -> f64 {
    // Without randomness the pauses are merely longer.
    getrandom::u32().map_or(1.0, |value| f64::from(value) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_capped() {
        let max = Duration::from_secs(30);
        let pauses: Vec<_> = (0..9)
            .map(|failures| pause(failures, max, 1.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        );
        assert_eq!(pause(0, max, 0.0), Duration::from_millis(125));
        assert_eq!(pause(u32::MAX, max, 0.0), Duration::from_secs(15));
    }
}
