//! Whether the key that a host shows is believed: the files, the policy, the pinned key.
//!
//! The files are read here, and under [`HostKeyPolicy::AcceptNew`] appended to; what their lines
//! mean is for [`super::known_hosts`] to say.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Algorithm, PublicKey};

use super::known_hosts::{HostKeyCheck, KnownHosts, entry_line};
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
    /// A file of known hosts can't be read, so nobody knows what it says of the host.
    #[error("the known hosts in {} can't be read: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The key is marked as revoked.
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
            Self::Unreadable { .. } => {
                "let K8S_SSH_KNOWN_HOSTS name a file that you may read".into()
            }
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

/// Decides about the keys of one host.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) trust: HostTrust,
}

impl Judge {
    /// The types of keys that the host is known by; it is asked for those first.
    pub(super) fn known_algorithms(&self) -> Vec<Algorithm> {
        match self.trust.pinned {
            Some(_) => Vec::new(),
            None => self
                .read_files()
                .unwrap_or_default()
                .algorithms(&self.host, self.port),
        }
    }

    /// `Ok` if the key is believed. May write a file, which blocks for a moment.
    pub(super) fn judge(&self, key: &PublicKey) -> Result<(), HostKeyError> {
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
        match self.read_files()?.check(&self.host, self.port, key) {
            HostKeyCheck::Trusted => Ok(()),
            HostKeyCheck::Changed {
                file,
                line,
                expected,
            } => Err(HostKeyError::Changed {
                host,
                port,
                seen,
                expected,
                file,
                line,
            }),
            HostKeyCheck::Revoked { file, line } => Err(HostKeyError::Revoked {
                host,
                port,
                seen,
                file,
                line,
            }),
            HostKeyCheck::Unknown => match (self.trust.policy, self.trust.known_hosts.first()) {
                (HostKeyPolicy::AcceptNew, Some(file)) => self.remember(file, key, seen),
                _ => Err(HostKeyError::Unknown {
                    host,
                    port,
                    seen,
                    known_hosts: self.trust.known_hosts.clone(),
                }),
            },
        }
    }

    fn read_files(&self) -> Result<KnownHosts, HostKeyError> {
        let mut known = KnownHosts::default();
        for file in &self.trust.known_hosts {
            match std::fs::read(file) {
                Ok(bytes) => known.add(file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(HostKeyError::Unreadable {
                        file: file.clone(),
                        reason: error.to_string(),
                    });
                }
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
            Ok(HostKeyCheck::Changed {
                file,
                line,
                expected,
            }) => Err(HostKeyError::Changed {
                host,
                port,
                seen,
                expected,
                file,
                line,
            }),
            Ok(HostKeyCheck::Revoked { file, line }) => Err(HostKeyError::Revoked {
                host,
                port,
                seen,
                file,
                line,
            }),
            Ok(HostKeyCheck::Unknown) => Err(HostKeyError::Unknown {
                host,
                port,
                seen,
                known_hosts: vec![file.into()],
            }),
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
        known.add(path, &String::from_utf8_lossy(&bytes));
        let answer = known.check(&self.host, self.port, key);
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

#[cfg(test)]
#[path = "host_trust_tests.rs"]
mod tests;
