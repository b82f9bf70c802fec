//! The names field of a line of `known_hosts`: patterns, negation, hashed names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The hosts that a line is about.
#[derive(Debug)]
pub(super) enum Names {
    /// As they stand in the file, separated by commas.
    Patterns(String),
    /// `|1|salt|hash`: the HMAC-SHA1 of the name under the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// They can't be read, so the line may be about any host.
    Unreadable,
}

impl Names {
    pub(super) fn parse(field: &str) -> Self {
        let Some(hashed) = field.strip_prefix('|') else {
            return Self::Patterns(field.to_lowercase());
        };
        let decode = |part: Option<&str>| part.and_then(|text| STANDARD.decode(text).ok());
        let mut parts = hashed.split('|');
        match (
            parts.next(),
            decode(parts.next()),
            decode(parts.next()),
            parts.next(),
        ) {
            (Some("1"), Some(salt), Some(hash), None) => Self::Hashed { salt, hash },
            _ => Self::Unreadable,
        }
    }

    pub(super) fn match_name(&self, name: &str) -> bool {
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
            Self::Unreadable => true,
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
