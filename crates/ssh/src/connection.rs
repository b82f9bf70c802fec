//! One authenticated SSH connection, and the opening of channels on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::handshake::{self, Events, Loss};
use super::keys::Credentials;
use super::link::LinkGuard;
use super::login::log_in;
use super::slots::Slots;
use super::{Script, SshError, SshSettings, command, keys};

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Between a refused channel and the next attempt, doubling up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(320);

/// How long a host that does not start a command may take to answer at all.
const ANSWER: Duration = Duration::from_secs(5);

/// Whether to wait for a channel while the server has none to give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    Wait,
}

/// A connection that was alive when it was handed out. It ends when it is dropped.
pub(super) struct Connection {
    handle: Handle<Events>,
    slots: Arc<Slots>,
    lost: watch::Receiver<Option<Loss>>,
    /// Whether the host was asked for an answer and gave none.
    is_silent: AtomicBool,
    closing: watch::Sender<bool>,
    /// Counted over all connections of a client.
    pub(super) commands_started: Arc<AtomicU64>,
    pub(super) stop_grace: Duration,
    /// How long a login shell may take to start the launcher.
    pub(super) launch_limit: Duration,
    settings: Arc<SshSettings>,
    /// One signal at a time: when many commands are ended at once, the first ends make room for
    /// the others.
    killing: Mutex<()>,
    _guard: LinkGuard,
}

impl Connection {
    /// Reads the key, connects, checks the host's key and logs in.
    pub(super) async fn establish(
        settings: &Arc<SshSettings>,
        commands_started: Arc<AtomicU64>,
    ) -> Result<Self, SshError> {
        let credentials = read_key(settings).await?;
        let mut transport = handshake::connect(settings).await?;
        log_in(&mut transport, settings, credentials).await?;
        tracing::debug!(
            host = settings.host,
            port = settings.port,
            user = settings.user,
            "logged in"
        );
        Ok(Self {
            handle: transport.handle,
            slots: transport.slots,
            lost: transport.lost,
            is_silent: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            commands_started,
            stop_grace: settings.limits.stop_grace,
            launch_limit: settings.limits.launch_limit(),
            settings: Arc::clone(settings),
            killing: Mutex::default(),
            _guard: transport.guard,
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        let is_silent = self.is_silent.load(Ordering::Relaxed);
        !is_silent && !self.handle.is_closed() && !*self.closing.borrow()
    }

    /// Whether the host still answers on this connection. One that does not gets no more commands.
    pub(super) async fn answers(&self) -> bool {
        let answer = timeout(ANSWER, self.handle.send_ping()).await;
        let answers = matches!(answer, Ok(Ok(()))) && !self.handle.is_closed();
        self.is_silent.fetch_or(!answers, Ordering::Relaxed);
        answers
    }

    /// Opens a session channel, waiting for one of ours to close if the server has no more to
    /// give. `cancelled` ends the waiting, but not an open that has been sent: the channel of
    /// an answer that nobody takes would stay open on the server for good.
    pub(super) async fn open_channel(
        &self,
        cancelled: impl Future<Output = ()>,
        patience: Patience,
    ) -> Result<Channel<Msg>, SshError> {
        tokio::pin!(cancelled);
        let mut pause = FIRST_PAUSE;
        loop {
            let turn = tokio::select! {
                biased;
                turn = self.slots.turn() => turn,
                () = std::future::ready(()), if patience == Patience::None => {
                    let reason = "all of its sessions are in use".into();
                    return Err(SshError::ChannelRefused { reason });
                }
                reason = self.loss() => return Err(SshError::LinkLost { reason, started: false }),
                () = &mut cancelled => return Err(SshError::Stopped),
            };
            match self.handle.channel_open_session().await {
                Ok(channel) => return Ok(channel),
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    let hopeless = reason == ChannelOpenFailure::UnknownChannelType
                        || patience == Patience::None;
                    if hopeless || !turn.may_try_again() {
                        return Err(SshError::ChannelRefused {
                            reason: refusal(&reason),
                        });
                    }
                    tokio::select! {
                        () = sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
                        () = &mut cancelled => return Err(SshError::Stopped),
                    }
                }
                Err(_) => {
                    let reason = self.loss().await;
                    return Err(SshError::LinkLost {
                        reason,
                        started: false,
                    });
                }
            }
        }
    }

    /// Opens a channel to an address that the host connects to.
    pub(super) async fn open_tunnel(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Channel<Msg>, SshError> {
        let opened = self
            .handle
            .channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0);
        match opened.await {
            Ok(channel) => Ok(channel),
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                let reason = match reason {
                    ChannelOpenFailure::AdministrativelyProhibited => {
                        "TCP forwarding is not allowed there".to_owned()
                    }
                    ChannelOpenFailure::ConnectFailed => "it can't connect".to_owned(),
                    reason => refusal(&reason),
                };
                Err(SshError::ChannelRefused { reason })
            }
            Err(_) => {
                let reason = self.loss().await;
                Err(SshError::LinkLost {
                    reason,
                    started: false,
                })
            }
        }
    }

    /// Returns once the connection is gone, with the reason.
    pub(super) async fn loss(&self) -> String {
        let mut lost = self.lost.clone();
        let reason = lost.wait_for(Option::is_some).await;
        reason
            .ok()
            .and_then(|loss| Some(loss.as_ref()?.reason.clone()))
            .unwrap_or_else(|| "it was closed".into())
    }

    /// Turns to `true` when the commands are to end. A command keeps it for as long as it lives,
    /// which is how [`close`](Self::close) knows when all have ended.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Sends a signal to a command of this connection by a command of its own: sshd delivers
    /// none to root's commands (it has no privileged half left then), to a forced command, or if
    /// it is older than 7.9. If all sessions are in use, by a connection of its own.
    ///
    /// Boxed, since a command's task calls this and this starts a command.
    pub(super) fn kill(
        self: Arc<Self>,
        signal: &'static str,
        pid: u32,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let script = Script::kill(signal, pid);
            let _turn = self.killing.lock().await;
            let result = match command::run_aside(Arc::clone(&self), &script).await {
                Err(SshError::ChannelRefused { .. }) => {
                    match Self::establish(&self.settings, Arc::default()).await {
                        Ok(other) => command::run_aside(Arc::new(other), &script).await,
                        Err(error) => Err(error),
                    }
                }
                result => result,
            };
            match result {
                Ok(status) => tracing::debug!(signal, pid, %status, "sent a signal by a command"),
                Err(error) => tracing::debug!(signal, pid, %error, "could not send a signal"),
            }
        })
    }

    /// The channel is closed from our side. What the server says of it after that, russh drops.
    pub(super) fn gave_up(&self, id: ChannelId) {
        self.slots.closed(id);
    }

    /// Ends all commands, then the connection.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let patience = self.stop_grace.saturating_mul(2).saturating_add(GOODBYE);
        if timeout(patience, self.closing.closed()).await.is_err() {
            tracing::warn!("closed the ssh connection over commands that did not end");
        }
        if self
            .handle
            .disconnect(Disconnect::ByApplication, "done", "")
            .await
            .is_ok()
        {
            drop(timeout(GOODBYE, self.loss()).await);
        }
    }
}

async fn read_key(settings: &Arc<SshSettings>) -> Result<Credentials, SshError> {
    let settings = Arc::clone(settings);
    // Opening an encrypted key is slow by design.
    let read = tokio::task::spawn_blocking(move || {
        keys::load(&settings.key, settings.passphrase.as_ref())
    });
    match read.await {
        Ok(credentials) => Ok(credentials?),
        // Only if the runtime is being shut down.
        Err(_) => Err(SshError::Stopped),
    }
}

fn refusal(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited".into(),
        ChannelOpenFailure::ConnectFailed => "it has no session to give".into(),
        ChannelOpenFailure::ResourceShortage => "it is short of resources".into(),
        ChannelOpenFailure::UnknownChannelType => "it knows no sessions".into(),
        ChannelOpenFailure::Other { reason, .. } => reason.clone(),
    }
}
