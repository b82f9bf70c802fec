//! What `known_hosts` files say about a host's key. Pure: text in, an answer out.
//!
//! The format is that of sshd(8), `SSH_KNOWN_HOSTS` FILE FORMAT: lists of names and patterns,
//! `[host]:port`, negation, hashed names, `@revoked`. Host certificates are not supported, so
//! `@cert-authority` lines are passed over. What an answer leads to is decided in
//! [`super::host_trust`].

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha1::Sha1;

use super::{Fingerprint, fingerprint_of};

/// The port that names stand for when they name none.
const DEFAULT_PORT: u16 = 22;

/// What the files say about one key of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKeyCheck {
    /// The key is listed for the host.
    Trusted,
    /// Nothing is listed for the host.
    Unknown,
    /// Keys are listed for the host, and this is none of them. That includes a key of a type
    /// that is not listed: who answers in the host's place may well offer only another type.
    Changed {
        file: PathBuf,
        line: usize,
        expected: Vec<Fingerprint>,
    },
    /// The key is marked `@revoked`.
    Revoked { file: PathBuf, line: usize },
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
    line: usize,
    revoked: bool,
    names: Names,
    key: PublicKey,
}

#[derive(Debug)]
enum Names {
    /// As they stand in the file, separated by commas.
    Patterns(String),
    /// `|1|salt|hash`: the HMAC-SHA1 of the name under the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownHosts {
    /// Adds the entries of a file. Lines that can't be understood are skipped with a warning,
    /// as OpenSSH does: they can make a host unknown, but never trusted.
    pub(super) fn add(&mut self, file: &Path, text: &str) {
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match parse_line(content) {
                Ok(Some((revoked, names, key))) => {
                    self.entries.push(Entry {
                        file: file.into(),
                        line,
                        revoked,
                        names,
                        key,
                    });
                }
                Ok(None) => {
                    tracing::trace!(file = %file.display(), line, "passed over @cert-authority");
                }
                Err(reason) => {
                    tracing::warn!(file = %file.display(), line, reason, "skipped a line of known_hosts");
                }
            }
        }
    }

    /// What is known about `key` as the key of `host`.
    ///
    /// Like OpenSSH, a host on a port other than 22 that is not listed as `[host]:port` is
    /// looked for without the port as well; there a match trusts, and nothing else counts.
    pub(super) fn check(&self, host: &str, port: u16, key: &PublicKey) -> HostKeyCheck {
        let answer = self.check_name(&lookup_name(host, port), key);
        if answer == HostKeyCheck::Unknown && port != DEFAULT_PORT {
            let plain = self.check_name(&lookup_name(host, DEFAULT_PORT), key);
            if matches!(plain, HostKeyCheck::Trusted | HostKeyCheck::Revoked { .. }) {
                return plain;
            }
        }
        answer
    }

    fn check_name(&self, name: &str, key: &PublicKey) -> HostKeyCheck {
        let listed = self
            .entries
            .iter()
            .filter(|entry| entry.names.match_name(name));
        let same = |entry: &&Entry| entry.key.key_data() == key.key_data();
        let mut others: Vec<&Entry> = Vec::new();
        let mut trusted = false;
        for entry in listed {
            match (entry.revoked, same(&entry)) {
                (true, true) => {
                    return HostKeyCheck::Revoked {
                        file: entry.file.clone(),
                        line: entry.line,
                    };
                }
                (true, false) => {}
                (false, true) => trusted = true,
                (false, false) => others.push(entry),
            }
        }
        match (trusted, others.first()) {
            (true, _) => HostKeyCheck::Trusted,
            (false, None) => HostKeyCheck::Unknown,
            (false, Some(first)) => {
                // Of the entries, one of the same type says best what has changed.
                let type_of = |entry: &&&Entry| entry.key.algorithm() == key.algorithm();
                let named = others.iter().find(type_of).unwrap_or(first);
                HostKeyCheck::Changed {
                    file: named.file.clone(),
                    line: named.line,
                    expected: others
                        .iter()
                        .map(|entry| fingerprint_of(&entry.key))
                        .collect(),
                }
            }
        }
    }

    /// The types of the keys that are listed for the host, so that it can be asked for those.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut names = vec![lookup_name(host, port)];
        if port != DEFAULT_PORT {
            names.push(lookup_name(host, DEFAULT_PORT));
        }
        names
            .iter()
            .map(|name| {
                self.entries
                    .iter()
                    .filter(|entry| !entry.revoked && entry.names.match_name(name))
                    .map(|entry| entry.key.algorithm())
                    .collect::<Vec<_>>()
            })
            .find(|algorithms| !algorithms.is_empty())
            .unwrap_or_default()
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

/// The name under which files list a host: lower case, and `[host]:port` unless the port is 22.
pub(super) fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == DEFAULT_PORT {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

type Line = (bool, Names, PublicKey);

/// `Ok(None)` for a line that is sound but of no use here.
fn parse_line(line: &str) -> Result<Option<Line>, &'static str> {
    let mut fields = line.split_ascii_whitespace();
    let mut next = || fields.next().ok_or("too few fields");
    let mut names = next()?;
    let mut revoked = false;
    if names.starts_with('@') {
        match names {
            "@revoked" => revoked = true,
            "@cert-authority" => return Ok(None),
            _ => return Err("unknown marker"),
        }
        names = next()?;
    }
    let algorithm = next()?;
    let key = parse_public_key_base64(next()?).map_err(|_| "the key can't be read")?;
    if key.algorithm().as_str() != algorithm {
        return Err("the key is of another type than the line says");
    }
    Ok(Some((revoked, Names::parse(names)?, key)))
}

impl Names {
    fn parse(field: &str) -> Result<Self, &'static str> {
        let Some(hashed) = field.strip_prefix('|') else {
            return Ok(Self::Patterns(field.to_lowercase()));
        };
        let decode = |part: Option<&str>| part.and_then(|text| STANDARD.decode(text).ok());
        let mut parts = hashed.split('|');
        match (
            parts.next(),
            decode(parts.next()),
            decode(parts.next()),
            parts.next(),
        ) {
            (Some("1"), Some(salt), Some(hash), None) => Ok(Self::Hashed { salt, hash }),
            _ => Err("the hashed name can't be read"),
        }
    }

    fn match_name(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let mut matched = false;
                for pattern in patterns.split(',') {
                    match pattern.strip_prefix('!') {
                        Some(negated) if glob(negated, name) => return false,
                        Some(_) => {}
                        None => matched |= !pattern.is_empty() && glob(pattern, name),
                    }
                }
                matched
            }
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
        }
    }
}

/// Whether `pattern`, where `*` stands for any text and `?` for one character, covers `name`.
fn glob(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on from when a character does not fit: after the last `*`, one further.
    let mut retry = None;
    loop {
        let before_name = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = before_name;
                retry = Some((pattern.clone(), name.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            _ => match retry.take() {
                None => return false,
                Some((after_star, mut tried)) => {
                    if tried.next().is_none() {
                        return false;
                    }
                    pattern = after_star.clone();
                    name = tried.clone();
                    retry = Some((after_star, tried));
                }
            },
        }
    }
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
