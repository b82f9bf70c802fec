//! What `known_hosts` files say about a host's key. Pure: text in, an answer out.
//!
//! The format is that of sshd(8), `SSH_KNOWN_HOSTS` FILE FORMAT: lists of names and patterns,
//! `[host]:port`, negation, hashed names, `@revoked`, `@cert-authority`. Where OpenSSH passes over
//! a line that it can't read, the answer here names that line if it may be about the host. What an
//! answer leads to is decided in [`super::host_trust`].

mod line;
mod names;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, Certificate, PublicKey};

use self::line::{Line, ListedKey, Marker};
use super::{Fingerprint, host_certificate};

/// The port that names stand for when they name none.
const DEFAULT_PORT: u16 = 22;

/// What the files say about what a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKeyCheck {
    /// The key is listed for the host, or an authority that is listed for it has certified it.
    Trusted,
    /// Nothing is listed for the host.
    Unknown,
    /// Keys are listed for the host, and this is none of them. That includes a key of a type
    /// that is not listed: an attacker who answers for the host may offer only another type.
    Changed {
        file: PathBuf,
        line: usize,
        expected: Vec<Fingerprint>,
    },
    /// The key, or the authority that certified it, is marked `@revoked`.
    Revoked { file: PathBuf, line: usize },
    /// An authority is listed for the host, and no key; there is no certificate of that
    /// authority that is valid for the host.
    NotCertified {
        file: PathBuf,
        line: usize,
        reason: String,
    },
    /// A line that may be about the host can't be read.
    Unreadable {
        file: PathBuf,
        line: usize,
        reason: &'static str,
    },
}

/// What a host shows in the key exchange.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl Shown {
    /// The key; that of a certificate is the one that it certifies.
    pub(super) fn key(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.clone(),
            Self::Certificate(certificate) => certificate.public_key().clone().into(),
        }
    }
}

/// The entries of any number of files.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    file: PathBuf,
    /// Counted from 1.
    number: usize,
    line: Line,
}

/// The text of a file.
///
/// # Errors
/// If it can't be the text of a `known_hosts` file: each of its lines would be unreadable.
pub(super) fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text; convert it to UTF-8");
    }
    if bytes.contains(&0) {
        return Err("it holds NUL bytes: it is damaged, or UTF-16 text instead of UTF-8");
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

impl KnownHosts {
    /// Adds the entries of a file.
    pub(super) fn add(&mut self, file: &Path, text: &str) {
        let text = text.replace("\r\n", "\n");
        for (index, text) in text.split(['\n', '\r']).enumerate() {
            let Some(line) = Line::parse(text) else {
                continue;
            };
            let number = index + 1;
            if let Err(reason) = &line.key {
                tracing::warn!(file = %file.display(), line = number, reason, "can't read a line of known_hosts");
            }
            self.entries.push(Entry {
                file: file.into(),
                number,
                line,
            });
        }
    }

    /// What is known about what `host` shows, at this time.
    ///
    /// Like OpenSSH, a host on a port other than 22 that is not listed as `[host]:port` is
    /// looked for without the port as well; there, another key that is listed is no objection.
    /// And like OpenSSH, a certificate that is not valid counts as the key in it.
    pub(super) fn check(
        &self,
        host: &str,
        port: u16,
        shown: &Shown,
        now: SystemTime,
    ) -> HostKeyCheck {
        let key = shown.key();
        let Ok(blob) = key.to_bytes() else {
            return HostKeyCheck::Unknown;
        };
        let names = lookup_names(host, port);
        let all = || names.iter().flat_map(|name| self.about(name));
        // These lines come first: they withdraw the trust in a key that other lines list.
        if let Some(objection) = all().find_map(|entry| entry.objection(&blob, shown)) {
            return objection;
        }
        let mut refusal = None;
        for (index, name) in names.iter().enumerate() {
            match self.check_certificate(name, host, shown, now) {
                Some(HostKeyCheck::Trusted) => return HostKeyCheck::Trusted,
                refused => refusal = refusal.or(refused),
            }
            match self.check_key(name, &blob, &key.algorithm()) {
                HostKeyCheck::Trusted => return HostKeyCheck::Trusted,
                changed @ HostKeyCheck::Changed { .. } if index == 0 => {
                    return refusal.unwrap_or(changed);
                }
                _ => {}
            }
        }
        refusal
            .or_else(|| all().find_map(|entry| entry.demand(shown)))
            .or_else(|| all().find_map(Entry::fault))
            .unwrap_or(HostKeyCheck::Unknown)
    }

    /// The entries that are about this name.
    fn about<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        let mut entries = self.entries.iter();
        std::iter::from_fn(move || entries.find(|entry| entry.line.names.match_name(name)))
    }

    /// The entries about this name whose key can be read and has this mark.
    fn keys<'a>(
        &'a self,
        name: &'a str,
        marker: Marker,
    ) -> impl Iterator<Item = (&'a Entry, &'a ListedKey)> {
        self.about(name)
            .filter(move |entry| entry.line.marker == marker)
            .filter_map(|entry| Some((entry, entry.line.key.as_ref().ok()?)))
    }

    /// `None` if there is no certificate of an authority that is listed.
    fn check_certificate(
        &self,
        name: &str,
        host: &str,
        shown: &Shown,
        now: SystemTime,
    ) -> Option<HostKeyCheck> {
        let Shown::Certificate(certificate) = shown else {
            return None;
        };
        let authority = host_certificate::authority(certificate)?;
        let (entry, _) = self
            .keys(name, Marker::Authority)
            .find(|(_, key)| key.is(&authority))?;
        Some(match host_certificate::check(certificate, host, now) {
            Ok(()) => HostKeyCheck::Trusted,
            Err(reason) => entry.not_certified(reason),
        })
    }

    fn check_key(&self, name: &str, blob: &[u8], algorithm: &Algorithm) -> HostKeyCheck {
        let listed: Vec<_> = self.keys(name, Marker::Host).collect();
        if listed.iter().any(|(_, key)| key.is(blob)) {
            return HostKeyCheck::Trusted;
        }
        // Of the entries, one of the same type says best what has changed.
        let same_type = listed
            .iter()
            .find(|(_, key)| key.algorithm.as_ref() == Some(algorithm));
        match same_type.or(listed.first()) {
            None => HostKeyCheck::Unknown,
            Some((entry, _)) => HostKeyCheck::Changed {
                file: entry.file.clone(),
                line: entry.number,
                expected: listed.iter().map(|(_, key)| key.fingerprint()).collect(),
            },
        }
    }

    /// The types of the keys that are listed for the host, so that it can be asked for those.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        lookup_names(host, port)
            .iter()
            .map(|name| {
                self.keys(name, Marker::Host)
                    .filter_map(|(_, key)| key.algorithm.clone())
                    .collect::<Vec<_>>()
            })
            .find(|algorithms| !algorithms.is_empty())
            .unwrap_or_default()
    }

    /// Whether an authority is listed for the host, so that it can be asked for a certificate.
    pub(super) fn has_authority(&self, host: &str, port: u16) -> bool {
        lookup_names(host, port)
            .iter()
            .any(|name| self.keys(name, Marker::Authority).next().is_some())
    }
}

impl Entry {
    /// What forbids the use of a key even if another line lists it: that it is revoked, or that
    /// nothing can be said about that.
    fn objection(&self, blob: &[u8], shown: &Shown) -> Option<HostKeyCheck> {
        match (self.line.marker, &self.line.key) {
            (Marker::Revoked, Ok(key)) => {
                let authority = match shown {
                    Shown::Certificate(certificate) => host_certificate::authority(certificate),
                    Shown::Key(_) => None,
                };
                let is_revoked = key.is(blob) || authority.is_some_and(|blob| key.is(&blob));
                is_revoked.then(|| HostKeyCheck::Revoked {
                    file: self.file.clone(),
                    line: self.number,
                })
            }
            (Marker::Revoked | Marker::Unknown, Err(_)) => self.fault(),
            _ => None,
        }
    }

    /// What an authority that is listed says about a host that nothing else is known of.
    fn demand(&self, shown: &Shown) -> Option<HostKeyCheck> {
        (self.line.marker == Marker::Authority && self.line.key.is_ok()).then(|| {
            self.not_certified(match shown {
                Shown::Key(_) => "the host shows no certificate".into(),
                Shown::Certificate(certificate) => format!(
                    "the host's certificate is signed by another authority, {}",
                    host_certificate::signer(certificate)
                ),
            })
        })
    }

    fn fault(&self) -> Option<HostKeyCheck> {
        let reason = *self.line.key.as_ref().err()?;
        Some(HostKeyCheck::Unreadable {
            file: self.file.clone(),
            line: self.number,
            reason,
        })
    }

    fn not_certified(&self, reason: String) -> HostKeyCheck {
        HostKeyCheck::NotCertified {
            file: self.file.clone(),
            line: self.number,
            reason,
        }
    }
}

/// The line that makes a key known, without a newline.
pub(super) fn entry_line(host: &str, port: u16, key: &PublicKey) -> Option<String> {
    // The comment of a key that a host sent is empty, but a line must never hold two.
    let blob = STANDARD.encode(key.to_bytes().ok()?);
    Some(format!(
        "{} {} {blob}",
        lookup_name(host, port),
        key.algorithm().as_str()
    ))
}

/// The names under which files may list a host, in the order in which they count.
fn lookup_names(host: &str, port: u16) -> Vec<String> {
    let mut names = vec![lookup_name(host, port)];
    if port != DEFAULT_PORT {
        names.push(lookup_name(host, DEFAULT_PORT));
    }
    names
}

/// The name under which files list a host: lower case, and `[host]:port` unless the port is 22.
pub(super) fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == DEFAULT_PORT {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
