//! From the settings to a private key that can sign.
//!
//! Reads and parses; it neither talks to the host nor decides what happens when a key can't be
//! used: that is always an error, never another key. No error carries any part of a key or of a
//! passphrase, which is why the parsers' own errors are not kept as sources.

mod pem;
mod public;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::KeySource;
use berth_core::secret::Secret;

/// No private key is longer: an RSA key of 16384 bits has 13 kB.
const KEY_FILE_MAX: u64 = 256 * 1024;

/// Where a key came from, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// `K8S_SSH_KEY_STRING`.
    Text,
    /// `K8S_SSH_KEY_FILE`.
    File(PathBuf),
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the key in K8S_SSH_KEY_STRING"),
            Self::File(path) => write!(f, "the key file {} (K8S_SSH_KEY_FILE)", path.display()),
        }
    }
}

/// A private key that can't be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file can't be read.
    #[error("could not read the key file {} (K8S_SSH_KEY_FILE)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The text is no private key in any known format, or it is damaged.
    #[error("{origin} is not a private key")]
    NotAKey {
        /// Where the text came from.
        origin: KeyOrigin,
    },
    /// The text is a public key.
    #[error("{origin} is a public key, not a private one")]
    PublicKey {
        /// Where the text came from.
        origin: KeyOrigin,
    },
    /// The file that is to pick a key of the agent holds no public key.
    #[error("{origin} is not a public key")]
    NotPublic {
        /// Where the text came from.
        origin: KeyOrigin,
    },
    /// The key is encrypted and there is no passphrase.
    #[error("{origin} is encrypted, and K8S_SSH_KEY_PASSPHRASE is not set")]
    PassphraseNeeded {
        /// Where the key came from.
        origin: KeyOrigin,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase in K8S_SSH_KEY_PASSPHRASE does not open {origin}")]
    WrongPassphrase {
        /// Where the key came from.
        origin: KeyOrigin,
    },
    /// The key is in the format of `PuTTY`.
    #[error("{origin} is in PuTTY's format, which is not supported")]
    Putty {
        /// Where the key came from.
        origin: KeyOrigin,
    },
    /// The key is sound, but of a type or an encryption that is not supported.
    #[error("{origin} can't be used: {what} is not supported")]
    Unsupported {
        /// Where the key came from.
        origin: KeyOrigin,
        /// The type of the key or of its encryption.
        what: String,
    },
    /// The agent does not answer, or not as an agent does.
    #[error("could not talk to the ssh agent at {} (SSH_AUTH_SOCK): {reason}", socket.display())]
    Agent {
        /// Its socket.
        socket: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The agent does not hold the key that is to be used.
    #[error(
        "the ssh agent at {} (SSH_AUTH_SOCK) does not hold the key of {} (K8S_SSH_KEY_FILE)",
        socket.display(), path.display()
    )]
    NotInAgent {
        /// Its socket.
        socket: PathBuf,
        /// The file with the public key.
        path: PathBuf,
    },
    /// The agent holds no key.
    #[error("the ssh agent at {} (SSH_AUTH_SOCK) holds no key", socket.display())]
    AgentEmpty {
        /// Its socket.
        socket: PathBuf,
    },
}

impl KeyError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let file = |origin: &KeyOrigin| match origin {
            KeyOrigin::File(path) => path.display().to_string(),
            KeyOrigin::Text => "FILE".into(),
        };
        Some(match self {
            Self::Unreadable { .. } => {
                "check the path and that the file is readable for you".into()
            }
            Self::NotAKey { .. } => {
                "a private key starts with a line like `-----BEGIN OPENSSH PRIVATE KEY-----`".into()
            }
            Self::NotPublic { .. } => {
                "`ssh-add -L` prints the public keys of the agent; write one of them to the file"
                    .into()
            }
            Self::PublicKey { .. } => {
                "use the file of the same name without `.pub` (or `-cert.pub`); \
                 a public key (`.pub`) picks a key of the ssh agent, and none runs (SSH_AUTH_SOCK)"
                    .into()
            }
            Self::Putty { .. } => "convert it: `puttygen KEY -O private-openssh -o FILE`".into(),
            Self::PassphraseNeeded { .. } => {
                "set K8S_SSH_KEY_PASSPHRASE, or load the key into an ssh agent".into()
            }
            Self::WrongPassphrase { origin } => {
                format!(
                    "`ssh-keygen -y -f {}` asks for the passphrase and tells whether it fits",
                    file(origin)
                )
            }
            Self::Unsupported { origin, .. } => format!(
                "`ssh-keygen -p -f {}` writes the key anew in OpenSSH's format; the types are ed25519, ecdsa and rsa",
                file(origin)
            ),
            Self::Agent { .. } => {
                "start an agent with `eval \"$(ssh-agent)\"`, or use K8S_SSH_KEY_FILE".into()
            }
            Self::NotInAgent { .. } => {
                "`ssh-add -L` prints the keys that it holds; load this one with `ssh-add`".into()
            }
            Self::AgentEmpty { .. } => {
                "load a key with `ssh-add`, or unlock the agent (`ssh-add -X`)".into()
            }
        })
    }
}

/// What has been read for the login.
#[derive(Default)]
pub(super) struct Credentials {
    /// The key, if it is not in an agent.
    pub(super) key: Option<Arc<PrivateKey>>,
    /// The key that the agent is to use.
    pub(super) public: Option<PublicKey>,
    /// A certificate for the key.
    pub(super) certificate: Option<Certificate>,
}

/// What a text or files say. Blocks: an encrypted key takes a good fraction of a second to open,
/// by design. An agent keeps its private keys to itself.
pub(super) fn load(
    source: &KeySource,
    passphrase: Option<&Secret<String>>,
) -> Result<Credentials, KeyError> {
    if let KeySource::AgentKey { public_key, .. } = source {
        return public::load(public_key);
    }
    let Some(key) = load_private(source, passphrase)? else {
        return Ok(Credentials::default());
    };
    let certificate = match source {
        KeySource::File(path) => public::certificate_for(path, key.public_key()),
        _ => None,
    };
    Ok(Credentials {
        key: Some(Arc::new(key)),
        public: None,
        certificate,
    })
}

fn load_private(
    source: &KeySource,
    passphrase: Option<&Secret<String>>,
) -> Result<Option<PrivateKey>, KeyError> {
    let passphrase = passphrase
        .map(|secret| secret.expose().as_str())
        .filter(|text| !text.is_empty());
    let (text, origin) = match source {
        KeySource::Agent(_) | KeySource::AgentKey { .. } => return Ok(None),
        KeySource::Text(text) => (Zeroizing::new(text.expose().clone()), KeyOrigin::Text),
        KeySource::File(path) => (read(path)?, KeyOrigin::File(path.clone())),
    };
    pem::parse(&text, passphrase, &origin)
        .and_then(|key| accept_type(key, &origin))
        .map(Some)
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |error| KeyError::Unreadable {
        path: path.into(),
        source: Arc::new(error),
    };
    let file = berth_core::files::open_named(path).map_err(unreadable)?;
    warn_if_others_can_read(&file, path);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(KEY_FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    decode(&bytes).ok_or_else(|| KeyError::NotAKey {
        origin: KeyOrigin::File(path.into()),
    })
}

/// The text of a file: UTF-8, or UTF-16 as PowerShell's `>` writes it.
fn decode(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let unit = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            return Some(Zeroizing::new(text.to_owned()));
        }
    };
    let (pairs, _) = bytes.as_chunks();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
    text.ok().map(Zeroizing::new)
}

/// OpenSSH refuses such a file. In containers keys are mounted with modes nobody chose, so here
/// it is only said aloud.
#[cfg(unix)]
fn warn_if_others_can_read(file: &std::fs::File, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Ok(metadata) = file.metadata() {
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                path = %path.display(),
                mode = format_args!("{mode:03o}"),
                "the ssh key file can be read by others; `chmod 600` it"
            );
        }
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_file: &std::fs::File, _path: &Path) {}

fn accept_type(key: PrivateKey, origin: &KeyOrigin) -> Result<PrivateKey, KeyError> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
        other => Err(KeyError::Unsupported {
            origin: origin.clone(),
            what: format!("the key type {other}"),
        }),
    }
}

#[cfg(test)]
mod tests;
