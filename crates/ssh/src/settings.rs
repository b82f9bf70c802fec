//! The SSH target and how to log in to it. Plain data: nothing here reads a file.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use berth_core::{Invalid, secret::Secret};

/// The login host and how to get in.
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
    /// The user's `ssh_config(5)` file, which only explains a host name that has no address. Nothing else is
    /// read from it.
    pub config_file: Option<PathBuf>,
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
    /// The agent that listens on this socket (`SSH_AUTH_SOCK`), with all of its keys.
    Agent(PathBuf),
    /// One key of an agent.
    AgentKey {
        /// The agent's socket.
        socket: PathBuf,
        /// The file with the public half of the key, or with a certificate for it.
        public_key: PathBuf,
    },
}

/// What makes a host key believable.
#[derive(Debug, Clone, Default)]
pub struct HostTrust {
    /// What happens to a host that is not in `known_hosts`.
    pub policy: HostKeyPolicy,
    /// Files in the format of sshd(8), `SSH_KNOWN_HOSTS` FILE FORMAT. All are read; a missing one
    /// counts as empty; the first is the one that [`HostKeyPolicy::AcceptNew`] appends to. The
    /// settings add the files of the whole machine, such as `/etc/ssh/ssh_known_hosts`.
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

impl FromStr for HostKeyPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "strict" => Ok(Self::Strict),
            "accept-new" => Ok(Self::AcceptNew),
            _ => Err(Invalid::new(
                "host key policy",
                text,
                "is not known",
                "use strict or accept-new; there is no policy that accepts every key",
            )),
        }
    }
}

/// The SHA-256 fingerprint of a public key, as `ssh-keygen -l` prints it: `SHA256:` and 43
/// characters of unpadded base64. One trailing `=` is tolerated on the way in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint with this digest.
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digest = text.trim().strip_prefix("SHA256:");
        digest
            .map(|digest| digest.strip_suffix('=').unwrap_or(digest))
            .and_then(|digest| STANDARD_NO_PAD.decode(digest).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                Invalid::new(
                    "host key",
                    text,
                    "is not a key fingerprint",
                    "use what `ssh-keygen -l -f FILE` prints: SHA256: and 43 characters",
                )
            })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bounds in time and size for one connection and its commands.
#[derive(Debug, Clone)]
pub struct SshLimits {
    /// For the TCP connection, the SSH banner and the key exchange together. 10 s.
    pub connect_timeout: Duration,
    /// For authentication, which may wait for a touch on a hardware key of the agent. 30 s, or
    /// `connect_timeout` where the settings make that longer.
    pub auth_timeout: Duration,
    /// A keep-alive is sent after this much silence from the server. 10 s.
    pub keepalive_interval: Duration,
    /// This many keep-alives may go unanswered. 3: a dead link is noticed within 40 s.
    pub keepalive_max: usize,
    /// How much of stdout, and as much of stderr, [`run`](crate::SshClient::run) keeps unless
    /// told otherwise, in bytes. 1 MiB.
    pub kept_bytes_per_stream: usize,
    /// How long a command that is being ended has after SIGTERM before SIGKILL is sent, and
    /// after that before its channel is closed over its head. 3 s.
    pub stop_grace: Duration,
    /// The longest pause before a connection is tried again. 30 s; the first pause is 250 ms.
    pub backoff_max: Duration,
}

impl SshLimits {
    /// How long the login shell on the host may take until it starts a command, its start-up files
    /// included: twice `connect_timeout`, and at least 10 s.
    #[must_use]
    pub fn launch_limit(&self) -> Duration {
        self.connect_timeout
            .saturating_mul(2)
            .max(Duration::from_secs(10))
    }
}

impl Default for SshLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(10),
            keepalive_max: 3,
            kept_bytes_per_stream: 1024 * 1024,
            stop_grace: Duration::from_secs(3),
            backoff_max: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM";

    #[test]
    fn a_fingerprint_prints_what_it_was_read_from() {
        let fingerprint: Fingerprint = TEXT.parse().unwrap();
        assert_eq!(fingerprint.to_string(), TEXT);
        assert_eq!(format!(" {TEXT}=\n").parse(), Ok(fingerprint));
    }

    #[test]
    fn what_is_not_a_fingerprint_is_refused() {
        for text in [
            "",
            "SHA256:",
            "MD5:16:27:ac:a5",
            &TEXT[7..],
            "SHA256:Nh0Me49Zh9",
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
