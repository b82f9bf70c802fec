//! What can go wrong between here and the end of a command on the host.
//!
//! One enum, so that callers can tell the cases apart; its texts carry no secret, neither in
//! `Display` nor in `Debug`. It is `Clone`, since all who waited for one connection attempt get
//! its one error.

use std::sync::Arc;
use std::time::Duration;

use super::{Captured, CommandError, ExitStatus, Fingerprint, HostKeyError, KeyError};

/// A failure of the connection, or of a command to run to a known end.
///
/// A command that ended with an exit status other than 0 is not among these: its status is in
/// [`Output`](super::Output).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// The private key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The host's key is not believed.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The command can't be sent. Nothing was.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The host's name has no address.
    #[error("could not find the address of {host}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        #[source]
        source: Arc<std::io::Error>,
        /// What to do about it, when the name is a `Host` of `~/.ssh/config`.
        remedy: Option<String>,
    },
    /// The port is closed.
    #[error("{host}:{port} refused the connection")]
    Refused {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
    },
    /// There is no way to the host.
    #[error("could not reach {host}:{port}")]
    Unreachable {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// What the operating system says.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The host did not get as far as it had to in the time it had.
    #[error("{host}:{port} {stage} within {after:?}")]
    ConnectTimeout {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// What it did not do.
        stage: ConnectStage,
        /// The time it had.
        after: Duration,
    },
    /// What answers is no SSH server.
    #[error("{host}:{port} does not speak SSH")]
    NotSsh {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
    },
    /// The server closes new connections before its banner, as sshd does beyond `MaxStartups`,
    /// until the time to connect is up.
    #[error(
        "SSH server refuses new connections: {host}:{port} {reason}; retry or raise MaxStartups"
    )]
    Refuses {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// What it did, or said.
        reason: String,
    },
    /// The SSH handshake failed: no common algorithm, or the server broke off.
    #[error("the SSH handshake with {host}:{port} failed: {reason}")]
    Handshake {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// What went wrong.
        reason: String,
        /// What to do about it, where that is known.
        remedy: Option<String>,
    },
    /// The server did not let the user in.
    #[error(
        "{host} did not let {user} in with {}{}{}",
        keys(keys_tried), offers(methods, *partial), rest(closed, *untried)
    )]
    AuthRefused {
        /// The login name.
        user: String,
        /// The host.
        host: String,
        /// The keys that were tried.
        keys_tried: Vec<Fingerprint>,
        /// How the server lets users in (RFC 4252, section 5.1), as far as it said so.
        methods: Vec<String>,
        /// The key was accepted, but is not enough.
        partial: bool,
        /// How many keys and certificates were not tried, since the server broke off.
        untried: usize,
        /// What the server said when it broke off, or nothing.
        closed: String,
        /// What is known to be wrong with a key or a certificate.
        remarks: Vec<String>,
    },
    /// The server closed the connection during the login, without an answer.
    #[error(
        "{host} closed the connection after {}s, while {user} was logging in{}",
        after.as_secs(), quoted(said)
    )]
    ClosedDuringLogin {
        /// The login name.
        user: String,
        /// The host.
        host: String,
        /// How long the login had taken.
        after: Duration,
        /// The last banner that the server sent, or nothing.
        said: String,
    },
    /// The connection broke.
    #[error("lost the connection to the host: {reason}")]
    LinkLost {
        /// How it was noticed.
        reason: String,
        /// Whether the command may have started. If not, it is safe to run it again.
        started: bool,
    },
    /// The server opens no channel, though none of ours is open.
    #[error("the host refuses to run commands: {reason}")]
    ChannelRefused {
        /// What the server says.
        reason: String,
    },
    /// The server opened a channel, but refused to start a command in it.
    #[error("the host refused to start the command")]
    ExecRefused,
    /// A start-up file of the login shell has read from stdin. The command has not run, and nothing but
    /// blank lines has been read.
    #[error("a start-up file on the host reads stdin; nothing was run")]
    StartupReadsStdin,
    /// The account's login shell did not start `/bin/sh`. The command has not run, and nothing but
    /// blank lines was sent.
    #[error("the login shell on the host started nothing: {end}{}", quoted(said))]
    NoShell {
        /// What became of the login shell.
        end: LoginEnd,
        /// What the host said on stdout and stderr, the end of it.
        said: String,
    },
    /// There is no randomness on this machine, which the start of a command needs.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The command's channel was closed without a word about how the command ended.
    #[error("the host did not say how the command ended")]
    NoExitStatus,
    /// The command took longer than it may. It is being ended on the host.
    #[error("the command did not end within {after:?}")]
    TimedOut {
        /// The time it had.
        after: Duration,
        /// Whether the command may have started.
        started: bool,
        /// What it had written to stdout and stderr by then.
        written: Box<(Captured, Captured)>,
    },
    /// Berth itself ended the command, or is closing its connection.
    #[error("the command was stopped")]
    Stopped,
}

/// How far a connection attempt got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectStage {
    /// No answer on the network.
    Tcp,
    /// Connected, but no SSH banner.
    Banner,
    /// The key exchange did not finish.
    KeyExchange,
    /// The user was neither let in nor turned away.
    Authentication,
}

impl std::fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "did not answer",
            Self::Banner => "accepted the connection, but sent no SSH banner",
            Self::KeyExchange => "did not finish the key exchange",
            Self::Authentication => "did not decide about the login",
        })
    }
}

/// What became of a login shell that did not start `/bin/sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginEnd {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It waited this long, and ended at the end of its stdin.
    EndOfStdin(Duration, ExitStatus),
    /// It did not end within this time.
    Hung(Duration),
    /// It started `/bin/sh` after this time, which is too late.
    Slow(Duration),
    /// A start-up file has sent stdout or stderr elsewhere.
    Redirected,
}

impl std::fmt::Display for LoginEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(status) => write!(f, "it ended with {status}"),
            Self::EndOfStdin(after, status) => {
                write!(
                    f,
                    "it waited for {after:?} and ended with {status} at the end of its stdin"
                )
            }
            Self::Hung(after) => write!(f, "it hangs: no end within {after:?}"),
            Self::Slow(after) => write!(f, "its start-up files take longer than {after:?}"),
            Self::Redirected => {
                f.write_str("a start-up file on the host redirects stdout or stderr")
            }
        }
    }
}

impl SshError {
    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Key(error) => return error.hint(),
            Self::HostKey(error) => error.hint(),
            Self::Resolve {
                remedy: Some(remedy),
                ..
            } => remedy.clone(),
            Self::Resolve { .. } => "check K8S_SSH_HOST and the name server".into(),
            Self::Refused { port, .. } => {
                format!("check that sshd runs on the host and listens on port {port} (K8S_SSH_PORT)")
            }
            Self::Unreachable { .. } => {
                "check K8S_SSH_HOST, the network and any VPN".into()
            }
            Self::ConnectTimeout {
                stage: ConnectStage::Tcp,
                ..
            } => "a firewall may be dropping the packets: check K8S_SSH_HOST, K8S_SSH_PORT and any VPN".into(),
            Self::NotSsh { .. } => "check K8S_SSH_PORT".into(),
            Self::AuthRefused { .. } | Self::ClosedDuringLogin { .. } => return self.login_hint(),
            Self::Refuses { .. } => "the host's sshd_config limits new connections by MaxStartups \
                 and PerSourcePenalties; start fewer berth processes at once"
                .into(),
            Self::Handshake { remedy, .. } => return remedy.clone(),
            Self::ChannelRefused { .. } => {
                "check MaxSessions in the host's sshd_config, and that the account may run commands"
                    .into()
            }
            Self::NoShell { said, .. } if has_expired(said) => "log in as K8S_SSH_USERNAME with a terminal (`ssh -t`) and change the password, or have \
                 `chage` or `usermod` on the host make the account valid again"
                .into(),
            Self::StartupReadsStdin => {
                "in the login shell's start-up file (such as ~/.bashrc or config.fish), read only where \
                 someone types: `[ -t 0 ] && read …`, or within `case $- in *i*) … esac`; trying again is \
                 safe"
                    .into()
            }
            Self::NoShell {
                end: LoginEnd::Ended(_),
                ..
            } => "check that the user of K8S_SSH_USERNAME may log in and run commands: its shell in \
                 /etc/passwd, its start-up files, ForceCommand and `command=` on the host; trying again \
                 is safe"
                .into(),
            Self::NoShell {
                end: LoginEnd::Slow(_),
                ..
            } => "make the start-up files on the host faster, or raise K8S_SSH_CONNECT_TIMEOUT; trying again \
                 is safe"
                .into(),
            Self::NoShell {
                end: LoginEnd::Redirected,
                ..
            } => "redirect output only where someone types: within `case $- in *i*) … esac` in the \
                  start-up file, such as ~/.bashrc; trying again is safe"
                .into(),
            Self::NoShell { .. } => {
                "check the start-up files of the login shell on the host: one starts another program \
                 (such as `exec sh`) or waits; let it do so only within `case $- in *i*) … esac`; trying \
                 again is safe"
                    .into()
            }
            Self::LinkLost { started: false, .. } => "nothing was started; try again".into(),
            Self::LinkLost { started: true, .. } => {
                "the command may have run; look at its effect before you try again".into()
            }
            Self::TimedOut { started: false, .. } => {
                "all sessions of the host are in use, or its login shell takes too long; nothing was \
                 started"
                    .into()
            }
            Self::Command(_)
            | Self::ConnectTimeout { .. }
            | Self::ExecRefused
            | Self::NoExitStatus
            | Self::NoRandomness
            | Self::TimedOut { .. }
            | Self::Stopped => return None,
        })
    }

    fn login_hint(&self) -> Option<String> {
        Some(match self {
            Self::AuthRefused { partial: true, .. } => {
                "the server requires more than a public key; berth supports public key authentication only"
                    .into()
            }
            Self::AuthRefused {
                untried: 1..,
                remarks,
                ..
            } => with_remarks(
                "name the key: K8S_SSH_KEY_FILE=KEY.pub picks that one of the ssh agent \
                 (`ssh-add -L` prints them); or raise MaxAuthTries in the host's sshd_config",
                remarks,
            ),
            Self::AuthRefused {
                user,
                keys_tried,
                remarks,
                ..
            } => with_remarks(
                &format!(
                    "check K8S_SSH_USERNAME, and that ~{user}/.ssh/authorized_keys on the host holds the \
                     public half of {}",
                    keys(keys_tried)
                ),
                remarks,
            ),
            Self::ClosedDuringLogin { user, .. } => format!(
                "sshd's log on the host says why: the account {user} may have expired or be \
                 locked, or the login took longer than LoginGraceTime allows"
            ),
            _ => return None,
        })
    }

    /// Whether the host turns the user away, or its key or that of the user can't be used: a matter
    /// for whoever sets up the access, not for another attempt.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::NoShell { said, .. } => has_expired(said),
            error => error.is_refusal(),
        }
    }

    /// Whether another attempt to connect can't help until somebody changes something.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Key(_)
                | Self::HostKey(_)
                | Self::AuthRefused { .. }
                | Self::ClosedDuringLogin { .. }
        )
    }
}

/// What the host said, if anything.
fn quoted(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!("; it says {said:?}"),
    }
}

fn keys(tried: &[Fingerprint]) -> String {
    match tried {
        [] => "any key".into(),
        [only] => format!("key {only}"),
        many => {
            let names: Vec<_> = many.iter().map(Fingerprint::to_string).collect();
            format!("keys {}", names.join(", "))
        }
    }
}

fn offers(methods: &[String], partial: bool) -> String {
    match (partial, methods) {
        (_, []) => String::new(),
        (true, methods) => format!(" alone; it also wants {}", methods.join(", ")),
        (false, methods) => format!("; it accepts {}", methods.join(", ")),
    }
}

/// Whether the host's words instead of a shell say that the account or its password is not valid:
/// those of sshd, Linux-PAM and nologin(8).
fn has_expired(said: &str) -> bool {
    const WORDS: [&str; 5] = [
        "password has expired",
        "Password change required",
        "required to change your password",
        "account has expired",
        "account is currently not available",
    ];
    WORDS.iter().any(|words| said.contains(words))
}

fn rest(closed: &str, untried: usize) -> String {
    let closed = match closed {
        "" => String::new(),
        closed => format!("; it closed the connection: {closed}"),
    };
    match untried {
        0 => closed,
        1 => format!("{closed}; 1 more key was not tried"),
        count => format!("{closed}; {count} more keys were not tried"),
    }
}

fn with_remarks(hint: &str, remarks: &[String]) -> String {
    [remarks, &[hint.to_owned()]].concat().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_names_the_variable_and_the_key_once() {
        let refused = SshError::AuthRefused {
            user: "ann".into(),
            host: "node".into(),
            keys_tried: Vec::new(),
            methods: Vec::new(),
            partial: false,
            untried: 0,
            closed: String::new(),
            remarks: Vec::new(),
        };
        let hint = refused.hint().unwrap();
        assert_eq!(
            hint,
            "check K8S_SSH_USERNAME, and that ~ann/.ssh/authorized_keys on the host holds the \
             public half of any key"
        );
    }
}
