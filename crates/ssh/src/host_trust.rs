//! Whether the key that a host shows is believed: the files, the policy, the pinned key.
//!
//! The files are read here, and under [`HostKeyPolicy::AcceptNew`] appended to; what their lines
//! mean is for [`super::known_hosts`] to say.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use russh::keys::{Algorithm, PublicKey};

use super::known_hosts::{self, HostKeyCheck, KnownHosts, Shown, entry_line};
use super::{Fingerprint, HostKeyPolicy, HostTrust, fingerprint_of};

/// A host whose key is not believed. Nothing has been sent to it but the key exchange.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// The host is in none of the files.
    #[error("the host key of {host}:{port} is not known: it shows {seen}")]
    Unknown {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The key it shows.
        seen: Fingerprint,
        /// Where it was looked for.
        known_hosts: Vec<PathBuf>,
    },
    /// The host is known by another key.
    #[error(
        "the host key of {host}:{port} has changed: it shows {seen}, and {}:{line} expects {}",
        file.display(), list(expected)
    )]
    Changed {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The key it shows.
        seen: Fingerprint,
        /// The keys it is known by.
        expected: Vec<Fingerprint>,
        /// The file with the entry that speaks against the key.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// A file of known hosts can't be read, so it is not known what it says about the host.
    #[error("the known hosts in {} can't be read: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says, or what is wrong with its text.
        reason: String,
    },
    /// A line of a file of known hosts is about the host, or may be, and can't be read.
    #[error(
        "{}:{line} may be about {host}:{port}, but can't be read: {reason}", file.display()
    )]
    UnreadableLine {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The key it shows.
        seen: Fingerprint,
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with the line.
        reason: String,
    },
    /// The host is known by a certificate authority (`@cert-authority`), and not by a key; it
    /// shows no certificate of that authority that is valid for it.
    #[error(
        "the host key {seen} of {host}:{port} is not certified as {}:{line} requires: {reason}",
        file.display()
    )]
    NotCertified {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The key it shows.
        seen: Fingerprint,
        /// The file that names the authority.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What the certificate lacks.
        reason: String,
    },
    /// The key, or the authority that certified it, is marked as revoked.
    #[error("the host key {seen} of {host}:{port} is revoked in {}:{line}", file.display())]
    Revoked {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The key it shows.
        seen: Fingerprint,
        /// The file with the mark.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// The host shows another key than the pinned one, whatever type it is asked for.
    #[error(
        "the host key of {host}:{port} is not the pinned one: it shows {}, and K8S_SSH_HOST_KEY expects {expected}",
        list(seen)
    )]
    NotPinned {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// All the keys it has shown, one a type.
        seen: Vec<Fingerprint>,
        /// The pinned key.
        expected: Fingerprint,
    },
    /// The new key can't be remembered, so it is not accepted either.
    #[error("could not add the host key of {host}:{port} to {}", file.display())]
    NotRemembered {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// The file it should go to.
        file: PathBuf,
        /// Why it did not.
        #[source]
        source: Arc<std::io::Error>,
    },
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints
        .iter()
        .map(Fingerprint::to_string)
        .collect::<Vec<_>>()
        .join(" or ")
}

impl HostKeyError {
    /// What to do about it. Never "accept it": the comparison comes first.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown {
                host,
                port,
                seen,
                known_hosts,
                ..
            } => {
                let file = known_hosts.first().map_or_else(
                    || "~/.ssh/known_hosts".into(),
                    |file| file.display().to_string(),
                );
                format!(
                    "compare {seen} with what the host's owner says (`ssh-keygen -lf \
                     /etc/ssh/ssh_host_ed25519_key.pub` there), then `ssh-keyscan -p {port} {host} \
                     >> {file}`, or set K8S_SSH_HOST_KEY={seen}"
                )
            }
            Self::Changed { file, line, .. } => format!(
                "somebody may be answering in the host's place; if its owner confirms the new \
                 key, delete line {line} of {} and add the new key",
                file.display()
            ),
            Self::Unreadable { file, .. } => format!(
                "make {} a file of UTF-8 text that you may read, or let K8S_SSH_KNOWN_HOSTS and \
                 K8S_SSH_GLOBAL_KNOWN_HOSTS name others",
                file.display()
            ),
            Self::UnreadableLine { file, line, .. } => {
                format!("correct or delete line {line} of {}", file.display())
            }
            Self::NotCertified {
                file, line, seen, ..
            } => format!(
                "ask the host's owner to have its key signed again (`ssh-keygen -h -s CA …`, \
                 HostCertificate in sshd_config); if line {line} of {} no longer applies, delete \
                 it, compare {seen} with the host's key and add that key",
                file.display()
            ),
            Self::Revoked { .. } => "ask the host's owner why it still uses this key".into(),
            Self::NotPinned { .. } => {
                "ask the host's owner for its key; if it has been replaced, update \
                 K8S_SSH_HOST_KEY"
                    .into()
            }
            Self::NotRemembered { .. } => {
                "make the file writable, or pin the key with K8S_SSH_HOST_KEY=SHA256:…".into()
            }
        }
    }
}

/// What a host is asked for in the key exchange, so that it can show what it is known by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The types of keys that it is known by; it is asked for those first.
    pub(super) algorithms: Vec<Algorithm>,
    /// Whether a certificate may be what it is known by.
    pub(super) certificate: bool,
}

/// Decides about the keys of one host.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) trust: HostTrust,
}

impl Judge {
    /// What the host is to be asked for.
    pub(super) fn wanted(&self) -> Result<Wanted, HostKeyError> {
        if self.trust.pinned.is_some() {
            return Ok(Wanted::default());
        }
        let known = self.read_files()?;
        Ok(Wanted {
            algorithms: known.algorithms(&self.host, self.port),
            certificate: known.has_authority(&self.host, self.port),
        })
    }

    /// `Ok` if the key is believed. May write a file, which blocks for a moment.
    pub(super) fn judge(&self, shown: &Shown) -> Result<(), HostKeyError> {
        let key = &shown.key();
        let seen = fingerprint_of(key);
        let (host, port) = (self.host.clone(), self.port);
        if let Some(expected) = self.trust.pinned {
            if seen == expected {
                return Ok(());
            }
            return Err(HostKeyError::NotPinned {
                host,
                port,
                seen: vec![seen],
                expected,
            });
        }
        let answer = self
            .read_files()?
            .check(&self.host, self.port, shown, SystemTime::now());
        match (answer, self.trust.policy, self.trust.known_hosts.first()) {
            (HostKeyCheck::Unknown, HostKeyPolicy::AcceptNew, Some(file)) => {
                self.remember(file, key, seen)
            }
            (answer, ..) => self.decide(answer, seen),
        }
    }

    fn decide(&self, answer: HostKeyCheck, seen: Fingerprint) -> Result<(), HostKeyError> {
        let (host, port) = (self.host.clone(), self.port);
        Err(match answer {
            HostKeyCheck::Trusted => return Ok(()),
            HostKeyCheck::Changed {
                file,
                line,
                expected,
            } => HostKeyError::Changed {
                host,
                port,
                seen,
                expected,
                file,
                line,
            },
            HostKeyCheck::Revoked { file, line } => HostKeyError::Revoked {
                host,
                port,
                seen,
                file,
                line,
            },
            HostKeyCheck::NotCertified { file, line, reason } => HostKeyError::NotCertified {
                host,
                port,
                seen,
                file,
                line,
                reason,
            },
            HostKeyCheck::Unreadable { file, line, reason } => HostKeyError::UnreadableLine {
                host,
                port,
                seen,
                file,
                line,
                reason: reason.into(),
            },
            HostKeyCheck::Unknown => HostKeyError::Unknown {
                host,
                port,
                seen,
                known_hosts: self.trust.known_hosts.clone(),
            },
        })
    }

    fn read_files(&self) -> Result<KnownHosts, HostKeyError> {
        let mut known = KnownHosts::default();
        for file in &self.trust.known_hosts {
            let unreadable = |reason: String| HostKeyError::Unreadable {
                file: file.clone(),
                reason,
            };
            match berth_core::files::read(file) {
                Ok(bytes) => {
                    let text = known_hosts::decode(&bytes);
                    known.add(file, &text.map_err(|reason| unreadable(reason.into()))?);
                }
                // The home folder of some accounts is /dev/null, below which there is nothing.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Err(unreadable(error.to_string())),
            }
        }
        Ok(known)
    }

    fn remember(
        &self,
        file: &Path,
        key: &PublicKey,
        seen: Fingerprint,
    ) -> Result<(), HostKeyError> {
        let (host, port) = (self.host.clone(), self.port);
        match self.append(file, key) {
            Ok(HostKeyCheck::Trusted) => {
                tracing::info!(host, port, key = %seen, file = %file.display(), "remembered a new host key");
                Ok(())
            }
            // Another process was faster, and saw another key.
            Ok(answer) => self.decide(answer, seen),
            Err(error) => Err(HostKeyError::NotRemembered {
                host,
                port,
                file: file.into(),
                source: Arc::new(error),
            }),
        }
    }

    /// Adds the key under a lock on the file, unless another process has said something about
    /// the host meanwhile; that is the answer then.
    fn append(&self, path: &Path, key: &PublicKey) -> std::io::Result<HostKeyCheck> {
        let mut file = open_for_append(path)?;
        file.lock()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut known = KnownHosts::default();
        known.add(
            path,
            &known_hosts::decode(&bytes).map_err(std::io::Error::other)?,
        );
        let shown = Shown::Key(key.clone());
        let answer = known.check(&self.host, self.port, &shown, SystemTime::now());
        if answer != HostKeyCheck::Unknown {
            return Ok(answer);
        }
        let entry = entry_line(&self.host, self.port, key)
            .ok_or_else(|| std::io::Error::other("the key can't be written"))?;
        let newline = if bytes.last().is_none_or(|last| *last == b'\n') {
            ""
        } else {
            "\n"
        };
        // One write, so that a reader who asks for no lock never sees half a line.
        file.write_all(format!("{newline}{entry}\n").as_bytes())?;
        file.sync_all()?;
        Ok(HostKeyCheck::Trusted)
    }
}

fn open_for_append(path: &Path) -> std::io::Result<File> {
    if has_shell_syntax(path) {
        let problem = "the path has a `~` or a quote in it, which only a shell replaces";
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            problem,
        ));
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        options.mode(0o600);
        if let Some(directory) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
    }
    options.open(path)
}

/// Whether a shell would have replaced a part of this path: it comes from settings that no shell
/// has read, and a file of that name is not what was meant.
fn has_shell_syntax(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    let is_quote = |byte: Option<&u8>| matches!(byte, Some(b'"' | b'\''));
    path.starts_with(b"~") || is_quote(path.first()) || is_quote(path.last())
}

#[cfg(test)]
#[path = "host_trust_tests.rs"]
mod tests;
