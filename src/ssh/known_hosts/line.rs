//! One line of a `known_hosts` file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha2::{Digest as _, Sha256};

use super::names::Names;
use crate::ssh::Fingerprint;

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
        let mut fields = text.split_whitespace().peekable();
        let marker = match fields.next_if(|field| field.starts_with('@')) {
            None => Marker::Host,
            Some("@cert-authority") => Marker::Authority,
            Some("@revoked") => Marker::Revoked,
            Some(_) => Marker::Unknown,
        };
        let names = match fields.next() {
            // A type where the names should be: they have been left out.
            Some(field) if !is_type(field) => Names::parse(field),
            _ => Names::Unreadable,
        };
        let key = match (&names, fields.next(), fields.next()) {
            _ if marker == Marker::Unknown => Err("its marker is not known"),
            (Names::Unreadable, ..) => Err("its names can't be read"),
            (_, Some(type_name), Some(key)) => ListedKey::parse(type_name, key),
            _ => Err("it has too few fields"),
        };
        Some(Self { marker, names, key })
    }
}

fn is_type(field: &str) -> bool {
    let known = Algorithm::new(field);
    known.is_ok_and(|algorithm| !matches!(algorithm, Algorithm::Other(_)))
}
