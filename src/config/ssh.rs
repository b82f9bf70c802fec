//! The host and how to reach it. Plain data: nothing here reads a file.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::{host, reader::Reader, variables};
use crate::{domain::Invalid, secret::Secret};

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
    /// How much of stdout, and as much of stderr, [`run`](crate::ssh::SshClient::run) keeps unless
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

impl SshSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let host = host(reader);
        let port = reader.number(&variables::K8S_SSH_PORT, 1, u16::MAX);
        let user = user(reader);
        let key = key(reader);
        let passphrase = reader
            .text(&variables::K8S_SSH_KEY_PASSPHRASE)
            .map(Secret::new);
        let host_trust = host_trust(reader);
        let limits = limits(reader);
        Some(Self {
            host: host?,
            port: port?,
            user: user?,
            key: key?,
            passphrase,
            host_trust: host_trust?,
            limits: limits?,
        })
    }
}

fn host(reader: &mut Reader<'_>) -> Option<String> {
    let variable = &variables::K8S_SSH_HOST;
    let rules = host::Rules {
        remedy: "set it to the name or address of the host on which kubectl works",
        user: "leave the user out and set K8S_SSH_USERNAME",
        port: "leave the port out and set K8S_SSH_PORT",
        zone: true,
    };
    let host = host::read(reader, variable, &rules);
    if host.is_none() {
        // Unless something else is wrong with it.
        reader.refuse(variable, "", "is not set", rules.remedy);
    }
    host
}

fn user(reader: &mut Reader<'_>) -> Option<String> {
    let variable = &variables::K8S_SSH_USERNAME;
    let user = reader.text(variable).or_else(|| reader.user());
    if user.is_none() {
        reader.refuse(variable, "", "is not set", "set it to the user on the host");
    }
    user.map(|user| user.trim().to_owned())
}

fn key(reader: &mut Reader<'_>) -> Option<KeySource> {
    let agent = reader.given("SSH_AUTH_SOCK").map(PathBuf::from);
    if let Some(text) = reader.text(&variables::K8S_SSH_KEY_STRING) {
        return Some(KeySource::Text(Secret::new(text)));
    }
    if !reader.is_default(&variables::K8S_SSH_KEY_FILE) {
        let file = reader.path(&variables::K8S_SSH_KEY_FILE)?;
        let is_public = file.extension().is_some_and(|extension| extension == "pub");
        return Some(match agent {
            Some(socket) if is_public => KeySource::AgentKey {
                socket,
                public_key: file,
            },
            _ => KeySource::File(file),
        });
    }
    if agent.is_none() {
        reader.refuse(
            &variables::K8S_SSH_KEY_FILE,
            "",
            "is not set, nor is K8S_SSH_KEY_STRING, and no SSH agent runs",
            "set one of them to the private key, or start an agent",
        );
    }
    agent.map(KeySource::Agent)
}

fn host_trust(reader: &mut Reader<'_>) -> Option<HostTrust> {
    let policy = reader.parsed(&variables::K8S_SSH_HOST_KEY_POLICY);
    let known_hosts = known_hosts(reader);
    let has_pin = reader.text(&variables::K8S_SSH_HOST_KEY).is_some();
    let pinned = reader.parsed(&variables::K8S_SSH_HOST_KEY);
    // A pin that can't be read must not become no pin.
    (has_pin == pinned.is_some()).then_some(())?;
    Some(HostTrust {
        policy: policy?,
        known_hosts,
        pinned,
    })
}

/// The files that OpenSSH reads: the user's first, then those of the machine.
fn known_hosts(reader: &mut Reader<'_>) -> Vec<PathBuf> {
    let user = &variables::K8S_SSH_KNOWN_HOSTS;
    let is_default = reader.is_default(user);
    let first = reader.path(user);
    let second = first
        .as_ref()
        .filter(|_| is_default)
        .map(|file| file.with_file_name("known_hosts2"));
    let global = reader.paths(&variables::K8S_SSH_GLOBAL_KNOWN_HOSTS);
    first.into_iter().chain(second).chain(global).collect()
}

fn limits(reader: &mut Reader<'_>) -> Option<SshLimits> {
    let connect_timeout = reader.duration(&variables::K8S_SSH_CONNECT_TIMEOUT);
    let keepalive_interval = reader.duration(&variables::K8S_SSH_KEEPALIVE);
    let usual = SshLimits::default();
    Some(SshLimits {
        connect_timeout: connect_timeout?,
        auth_timeout: connect_timeout?.max(usual.auth_timeout),
        keepalive_interval: keepalive_interval?,
        ..usual
    })
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
