//! One line of a `known_hosts` file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha2::{Digest as _, Sha256};

use super::names::Names;
use crate::Fingerprint;

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is the key of the hosts.
    Host,
    /// `@cert-authority`: it signs the keys of the hosts.
    Authority,
    /// `@revoked`: it must not be used any more.
    Revoked,
    /// A marker that sshd(8) does not list. It may be a mistyped `@revoked`.
    Unknown,
}

/// A line that is neither empty nor a comment.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) marker: Marker,
    pub(super) names: Names,
    /// The key, or why it can't be read.
    pub(super) key: Result<ListedKey, &'static str>,
}

/// The key of a line. Keys of types that can't be used here are kept as well: the host is known
/// by them.
#[derive(Debug)]
pub(super) struct ListedKey {
    blob: Vec<u8>,
    /// `None` for a type that can't be used here.
    pub(super) algorithm: Option<Algorithm>,
}

impl ListedKey {
    /// Whether it is the key with this encoding (RFC 4253, 6.6).
    pub(super) fn is(&self, blob: &[u8]) -> bool {
        self.blob == blob
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::from_digest(Sha256::digest(&self.blob).into())
    }

    /// `type_name` and `text` are the last two fields that a line must have.
    fn parse(type_name: &str, text: &str) -> Result<Self, &'static str> {
        let other_type = "its key is of another type than it says";
        match parse_public_key_base64(text) {
            Ok(key) if is_named(&key, type_name) => Ok(Self {
                blob: key.to_bytes().map_err(|_| "its key can't be read")?,
                algorithm: Some(key.algorithm()),
            }),
            Ok(_) => Err(other_type),
            Err(_) => {
                let blob = STANDARD.decode(text).map_err(|_| "its key is not base64")?;
                let usable = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-"];
                if usable.iter().any(|usable| type_name.starts_with(usable)) {
                    return Err("its key is damaged");
                }
                if type_in(&blob) != Some(type_name.as_bytes()) {
                    return Err(other_type);
                }
                Ok(Self {
                    blob,
                    algorithm: None,
                })
            }
        }
    }
}

/// Whether a line may call the key so. OpenSSH takes the names of RSA's signatures too.
fn is_named(key: &PublicKey, type_name: &str) -> bool {
    let algorithm = key.algorithm();
    algorithm.as_str() == type_name
        || (algorithm.is_rsa() && ["rsa-sha2-256", "rsa-sha2-512"].contains(&type_name))
}

/// The name of the type with which each encoded key begins.
fn type_in(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

impl Line {
    /// `None` for an empty line and a comment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Files that were put together from others have a byte order mark in their middle.
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let fields: Vec<_> = text.split_whitespace().collect();
        let (marker, rest) = match fields.split_first() {
            Some((&"@cert-authority", rest)) => (Marker::Authority, rest),
            Some((&"@revoked", rest)) => (Marker::Revoked, rest),
            Some((field, rest)) if field.starts_with('@') => (Marker::Unknown, rest),
            _ => (Marker::Host, fields.as_slice()),
        };
        let names = (rest.first())
            .filter(|field| !begins_key(field))
            .and_then(|field| Names::parse(field));
        let key = match rest {
            [_, type_name, key, ..] => ListedKey::parse(type_name, key),
            _ => Err("it has too few fields"),
        };
        let has_type = rest.get(1).is_some_and(|field| is_type(field));
        let (names, reason) = match names {
            Some(names) if key.is_ok() || has_type => (names, None),
            Some(_) if rest.len() < 3 => (guess(rest), None),
            Some(_) => (guess(rest), Some("its second field is not a key type")),
            None => (guess(rest), Some("its first field is not a list of hosts")),
        };
        let key = match reason {
            _ if marker == Marker::Unknown => Err("its marker is not known"),
            Some(reason) => Err(reason),
            None => key,
        };
        let marker = match marker {
            Marker::Host if key.is_err() && may_revoke(rest) => Marker::Unknown,
            marker => marker,
        };
        Some(Self { marker, names, key })
    }
}

/// The hosts that a line may be about that is not an entry: those named before its key.
fn guess(fields: &[&str]) -> Names {
    Names::guess(&before_key(fields))
}

fn before_key<'a>(fields: &[&'a str]) -> Vec<&'a str> {
    let fields = fields.iter().copied();
    fields.take_while(|field| !begins_key(field)).collect()
}

/// Whether a line that is not an entry may be meant to revoke a key, whatever precedes the marker.
fn may_revoke(fields: &[&str]) -> bool {
    before_key(fields).iter().any(|field| {
        let bare = field.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '@');
        bare.starts_with('@') || field.to_lowercase().contains("revoke")
    })
}

/// Whether a field, without quotes and the like, is the type of a key or an encoded key.
fn begins_key(field: &str) -> bool {
    let bare = field.trim_matches(|c: char| !c.is_alphanumeric() && c != '=');
    is_type(&bare.to_lowercase()) || parse_public_key_base64(bare).is_ok()
}

fn is_type(field: &str) -> bool {
    let known = Algorithm::new(field);
    known.is_ok_and(|algorithm| !matches!(algorithm, Algorithm::Other(_)))
}
