//! From an address to an authenticated-to-be SSH transport: name, TCP, banner, key exchange and
//! the judgement of the host's key. Logging in is for [`super::login`].

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::{self, DisconnectReason, Handle};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{ChannelId, ChannelOpenFailure, Preferred};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::algorithms;
use super::client::{pause, random};
use super::host_trust::{Judge, Wanted};
use super::known_hosts::Shown;
use super::link::{Link, LinkGuard, Opening};
use super::slots::Slots;
use super::{ConnectStage, HostKeyError, SshError, SshSettings, ssh_config};

/// What arrives within one slow consumer's reach: this many packets of up to 32 KiB.
const CHANNEL_BUFFER_PACKETS: usize = 64;

/// Bytes that a command may be ahead of us on the network (RFC 4254, 5.2).
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// The largest packet that every implementation must take (RFC 4253, 6.1), as OpenSSH uses it.
const PACKET_BYTES: u32 = 32 * 1024;

/// Between a refused connection and the next attempt: from a quarter of a second up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// As much as is kept of a login banner.
const BANNER_CHARS: usize = 300;

/// A transport whose host is believed.
pub(super) struct Transport {
    pub(super) handle: Handle<Events>,
    pub(super) slots: Arc<Slots>,
    /// `Some` with the reason once the connection is gone.
    pub(super) lost: watch::Receiver<Option<Loss>>,
    pub(super) guard: LinkGuard,
    /// What the host said last about the login (RFC 4252, 5.4).
    banner: Arc<Mutex<Option<String>>>,
}

impl Transport {
    pub(super) fn last_banner(&self) -> Option<String> {
        self.banner.lock().ok()?.clone()
    }
}

/// The end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) reason: String,
    /// `Some` if the host closed it, with the reason that it gave, or with nothing.
    pub(super) goodbye: Option<String>,
}

impl Loss {
    pub(super) fn unnoticed(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            goodbye: None,
        }
    }

    fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Russh(russh::Error::KeepaliveTimeout) => {
                Self::unnoticed("the host no longer answers keep-alives")
            }
            Fault::Russh(error) if is_close(error) => Self {
                reason: "the host closed it".into(),
                goodbye: Some(String::new()),
            },
            Fault::Russh(error) => Self::unnoticed(error.to_string()),
            Fault::HostKey(error) => Self::unnoticed(error.to_string()),
        }
    }
}

/// Whether the error says that the other side closed the connection.
fn is_close(error: &russh::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        russh::Error::Disconnect | russh::Error::HUP => true,
        russh::Error::IO(error) => {
            matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
        }
        _ => false,
    }
}

/// Why russh's loop ended.
#[derive(Debug)]
pub(super) enum Fault {
    HostKey(HostKeyError),
    Russh(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Connects and shakes hands, all within `connect_timeout`.
pub(super) async fn connect(settings: &SshSettings) -> Result<Transport, SshError> {
    let deadline = Instant::now() + settings.limits.connect_timeout;
    let judge = Judge {
        host: settings.host.clone(),
        port: settings.port,
        trust: settings.host_trust.clone(),
    };
    let wanted = wanted(&judge).await?;
    let mut preferred = algorithms::host_keys(&wanted.algorithms);
    let certificates = if wanted.certificate {
        preferred.clone()
    } else {
        Vec::new()
    };
    let mut seen = Vec::new();
    let mut refusals = 0;
    let mut refused = None;
    loop {
        let error = match attempt(
            settings,
            &judge,
            (preferred.clone(), certificates.clone()),
            deadline,
        )
        .await
        {
            Ok(transport) => return Ok(transport),
            Err(error) => error,
        };
        // A host has a key of each type, and the pinned one may be another than the first it
        // shows: it is asked for the other types before it is refused.
        match error {
            Failure::NotPinned { shown, refusal } => {
                let HostKeyError::NotPinned {
                    host,
                    port,
                    seen: now,
                    expected,
                } = refusal
                else {
                    return Err(refusal.into());
                };
                seen.extend(now);
                preferred.retain(|algorithm| !algorithms::same_type(algorithm, &shown));
                if preferred.is_empty() {
                    return Err(HostKeyError::NotPinned {
                        host,
                        port,
                        seen,
                        expected,
                    }
                    .into());
                }
            }
            Failure::Other(SshError::Handshake { .. }) if !seen.is_empty() => {
                // It has no key of those types.
                let (host, port) = (settings.host.clone(), settings.port);
                let Some(expected) = settings.host_trust.pinned else {
                    continue;
                };
                return Err(HostKeyError::NotPinned {
                    host,
                    port,
                    seen,
                    expected,
                }
                .into());
            }
            // sshd does so beyond MaxStartups, to some connections at random: soon there is room.
            Failure::Other(error @ SshError::Refuses { .. }) => {
                let pause = pause(refusals, LONGEST_PAUSE, random());
                tracing::debug!(%error, ?pause, "the host refused the connection; trying again");
                refusals += 1;
                if Instant::now() + pause >= deadline {
                    return Err(error);
                }
                refused = Some(error);
                sleep(pause).await;
            }
            Failure::Other(SshError::ConnectTimeout { .. }) if refused.is_some() => {
                return Err(refused.unwrap_or(SshError::Stopped));
            }
            Failure::Other(error) => return Err(error),
        }
    }
}

enum Failure {
    NotPinned {
        shown: Algorithm,
        refusal: HostKeyError,
    },
    Other(SshError),
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        Self::Other(error)
    }
}

async fn wanted(judge: &Judge) -> Result<Wanted, SshError> {
    let judge = judge.clone();
    match tokio::task::spawn_blocking(move || judge.wanted()).await {
        Ok(wanted) => Ok(wanted?),
        // Only if the runtime is being shut down.
        Err(_) => Err(SshError::Stopped),
    }
}

async fn attempt(
    settings: &SshSettings,
    judge: &Judge,
    algorithms: (Vec<Algorithm>, Vec<Algorithm>),
    deadline: Instant,
) -> Result<Transport, Failure> {
    let tcp = dial(settings, deadline).await?;
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "could not turn off Nagle's algorithm");
    }
    let limits = &settings.limits;
    let rounds = u32::try_from(limits.keepalive_max)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let stall = limits
        .keepalive_interval
        .saturating_mul(rounds)
        .max(Duration::from_secs(1));
    let (link, guard, opening) = Link::new(tcp, stall);

    let slots = Arc::new(Slots::default());
    let (lost_sender, lost) = watch::channel(None);
    let shown = Arc::new(Mutex::new(None));
    let banner = Arc::new(Mutex::new(None));
    let events = Events {
        judge: judge.clone(),
        slots: Arc::clone(&slots),
        lost: lost_sender,
        shown: Arc::clone(&shown),
        banner: Arc::clone(&banner),
    };
    let config = Arc::new(client_config(settings, algorithms));
    match timeout_at(deadline, client::connect_stream(config, link, events)).await {
        Ok(Ok(handle)) => Ok(Transport {
            handle,
            slots,
            lost,
            guard,
            banner,
        }),
        Ok(Err(Fault::HostKey(refusal @ HostKeyError::NotPinned { .. }))) => {
            let shown = shown.lock().ok().and_then(|mut shown| shown.take());
            match shown {
                Some(shown) => Err(Failure::NotPinned { shown, refusal }),
                None => Err(SshError::from(refusal).into()),
            }
        }
        Ok(Err(Fault::HostKey(error))) => Err(SshError::from(error).into()),
        Ok(Err(Fault::Russh(error))) => Err(explain(settings, &error, &opening).into()),
        Err(_) => {
            let stage = if opening.has_banner() {
                ConnectStage::KeyExchange
            } else {
                ConnectStage::Banner
            };
            Err(timeout(settings, stage).into())
        }
    }
}

/// One address after the other, each with its share of the time that is left.
async fn dial(settings: &SshSettings, deadline: Instant) -> Result<TcpStream, SshError> {
    let (host, port) = (settings.host.clone(), settings.port);
    let resolve = tokio::net::lookup_host((settings.host.as_str(), port));
    let resolved: std::io::Result<Vec<SocketAddr>> = match timeout_at(deadline, resolve).await {
        Ok(addresses) => addresses.map(Iterator::collect),
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    };
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err(source) => {
            return Err(SshError::Resolve {
                remedy: (settings.config_file.as_deref())
                    .and_then(|file| ssh_config::remedy_for(&host, file)),
                host,
                source: Arc::new(source),
            });
        }
    };
    let mut failure = None;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left -= 1;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "could not connect");
                failure = Some(error);
            }
            Err(_) => tracing::debug!(%address, "no answer"),
        }
    }
    Err(match failure {
        Some(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            SshError::Refused { host, port }
        }
        Some(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            timeout(settings, ConnectStage::Tcp)
        }
        Some(error) => SshError::Unreachable {
            host,
            port,
            source: Arc::new(error),
        },
        None => timeout(settings, ConnectStage::Tcp),
    })
}

fn timeout(settings: &SshSettings, stage: ConnectStage) -> SshError {
    SshError::ConnectTimeout {
        host: settings.host.clone(),
        port: settings.port,
        stage,
        after: settings.limits.connect_timeout,
    }
}

fn explain(settings: &SshSettings, error: &russh::Error, opening: &Opening) -> SshError {
    let (host, port) = (settings.host.clone(), settings.port);
    let reason = match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let (reason, remedy) = algorithms::mismatch(kind, ours, theirs);
            return SshError::Handshake {
                host,
                port,
                reason,
                remedy: Some(remedy),
            };
        }
        _ if !opening.has_banner() => {
            let reason = match opening.refusal() {
                Some(said) if said.is_empty() => "closes the connection before its banner".into(),
                Some(said) => format!("says {said:?} and closes the connection"),
                None => return SshError::NotSsh { host, port },
            };
            return SshError::Refuses { host, port, reason };
        }
        error if is_close(error) => "the host closed the connection".into(),
        other => other.to_string(),
    };
    SshError::Handshake {
        host,
        port,
        reason,
        remedy: None,
    }
}

/// `keys` and `certificates` are the types of host keys that are asked for, bare and certified.
fn client_config(
    settings: &SshSettings,
    (keys, certificates): (Vec<Algorithm>, Vec<Algorithm>),
) -> client::Config {
    let preferred = Preferred {
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        ..algorithms::PREFERRED
    };
    client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-berth_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: CHANNEL_BUFFER_PACKETS,
        preferred,
        keepalive_interval: Some(settings.limits.keepalive_interval),
        keepalive_max: settings.limits.keepalive_max,
        gex: algorithms::group_sizes(),
        nodelay: true,
        ..client::Config::default()
    }
}

/// What russh tells about the connection, in the order of the server's messages.
#[derive(Debug)]
pub(super) struct Events {
    judge: Judge,
    slots: Arc<Slots>,
    lost: watch::Sender<Option<Loss>>,
    /// The type of the key that was judged.
    shown: Arc<Mutex<Option<Algorithm>>>,
    banner: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Events {
    type Error = Fault;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let shown = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => Shown::Key(key.clone()),
            PublicKeyOrCertificate::Certificate(certificate) => {
                Shown::Certificate(Box::new(certificate.clone()))
            }
        };
        if let Ok(mut algorithm) = self.shown.lock() {
            *algorithm = Some(shown.key().algorithm());
        }
        let judge = self.judge.clone();
        match tokio::task::spawn_blocking(move || judge.judge(&shown)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => Err(Fault::HostKey(error)),
            // Only if the runtime is being shut down.
            Err(_) => Ok(false),
        }
    }

    async fn auth_banner(&mut self, text: &str, _: &mut client::Session) -> Result<(), Fault> {
        tracing::debug!(bytes = text.len(), "the host sent a login banner");
        if let Ok(mut banner) = self.banner.lock() {
            *banner = Some(text.trim().chars().take(BANNER_CHARS).collect());
        }
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        self.slots.confirmed(id);
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        _: &str,
        _: &str,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        self.slots.refused();
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut client::Session) -> Result<(), Fault> {
        self.slots.closed(id);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        let (loss, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let loss = Loss {
                    reason: format!("the host ended it: {}", info.message),
                    goodbye: Some(info.message),
                };
                (loss, Ok(()))
            }
            DisconnectReason::Error(fault) => (Loss::of(&fault), Err(fault)),
        };
        tracing::debug!(reason = loss.reason, "the ssh connection ended");
        self.lost.send_replace(Some(loss));
        result
    }
}
