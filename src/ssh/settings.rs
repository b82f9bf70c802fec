//! What a connection is made from. Plain data: nothing here reads a file or a variable.

use std::path::PathBuf;
use std::time::Duration;

use super::Fingerprint;
use crate::secret::Secret;

/// The login host and how to get in. Built by the configuration from `K8S_SSH_*`.
///
/// `Debug` shows no secret: the key and the passphrase are masked.
#[derive(Debug, Clone)]
pub struct SshSettings {
    /// A host name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The TCP port, 22 as a rule.
    pub port: u16,
    /// The login name on the host.
    pub user: String,
    /// The private key to log in with.
    pub key: KeySource,
    /// Opens an encrypted key. Ignored for a key that is not encrypted.
    pub passphrase: Option<Secret<String>>,
    /// Which host keys to believe.
    pub host_trust: HostTrust,
    /// Times and sizes.
    pub limits: SshLimits,
}

/// Where the private key is. There is no fallback from one to another.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The key itself, as PEM text. Line ends may also be `\r\n`, or the two characters `\n`, as
    /// they end up in `.env` files and CI variables.
    Text(Secret<String>),
    /// A file that holds the key.
    File(PathBuf),
    /// The agent that listens on this socket (`SSH_AUTH_SOCK`).
    Agent(PathBuf),
}

/// What makes a host key believable.
#[derive(Debug, Clone, Default)]
pub struct HostTrust {
    /// What happens to a host that is not in `known_hosts`.
    pub policy: HostKeyPolicy,
    /// Files in the format of sshd(8), `SSH_KNOWN_HOSTS` FILE FORMAT. All are read; a missing one
    /// counts as empty; the first is the one that [`HostKeyPolicy::AcceptNew`] appends to.
    pub known_hosts: Vec<PathBuf>,
    /// If set, only this key is accepted, and the files are not consulted.
    pub pinned: Option<Fingerprint>,
}

/// What to do about a host that nothing is known of. A *changed* or revoked key is refused
/// whatever the policy, and nothing here accepts every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyPolicy {
    /// Refuse it (`StrictHostKeyChecking yes`).
    #[default]
    Strict,
    /// Believe it and remember its key (`StrictHostKeyChecking accept-new`).
    AcceptNew,
}

/// Bounds in time and size for one connection and its commands.
#[derive(Debug, Clone)]
pub struct SshLimits {
    /// For the TCP connection, the SSH banner and the key exchange together. 15 s.
    pub connect_timeout: Duration,
    /// For authentication, which may wait for a touch on a hardware key of the agent. 30 s.
    pub auth_timeout: Duration,
    /// A keep-alive is sent after this much silence from the server. 10 s.
    pub keepalive_interval: Duration,
    /// This many keep-alives may go unanswered. 3: a dead link is noticed within 40 s.
    pub keepalive_max: usize,
    /// How much of stdout, and as much of stderr, [`run`](super::SshClient::run) keeps unless
    /// told otherwise, in bytes. 1 MiB.
    pub kept_bytes_per_stream: usize,
    /// How long a command that is being ended has after SIGTERM before SIGKILL is sent, and
    /// after that before its channel is closed over its head. 3 s.
    pub stop_grace: Duration,
    /// The longest pause before a connection is tried again. 30 s; the first pause is 250 ms.
    pub backoff_max: Duration,
}

impl Default for SshLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            auth_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(10),
            keepalive_max: 3,
            kept_bytes_per_stream: 1024 * 1024,
            stop_grace: Duration::from_secs(3),
            backoff_max: Duration::from_secs(30),
        }
    }
}
