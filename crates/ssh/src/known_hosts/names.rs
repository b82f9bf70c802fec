//! The names field of a line of `known_hosts`: patterns, negation, hashed names.

use std::net::IpAddr;

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
    /// What the text of a line that is not an entry may name; empty if it names no host, so that it
    /// may be about any.
    Guessed(Vec<Guess>),
}

/// A host that a line may name.
#[derive(Debug)]
pub(super) enum Guess {
    /// A name, an address or a pattern, without what surrounds it.
    Word(String),
    Hashed(Names),
    /// A hashed name that can't be read.
    Any,
}

impl Names {
    /// `None` if the field is not what sshd(8) describes.
    pub(super) fn parse(field: &str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix('|') else {
            let patterns = field.to_lowercase();
            return (patterns.split(',').all(is_pattern)).then_some(Self::Patterns(patterns));
        };
        let decode = |part: Option<&str>| part.and_then(|text| STANDARD.decode(text).ok());
        let mut parts = hashed.split('|');
        match (
            parts.next(),
            decode(parts.next()),
            decode(parts.next()),
            parts.next(),
        ) {
            (Some("1"), Some(salt), Some(hash), None) => Some(Self::Hashed { salt, hash }),
            _ => None,
        }
    }

    /// The hosts that fields of a line that is not an entry may name, in whatever decoration.
    pub(super) fn guess(fields: &[&str]) -> Self {
        let mut guesses = Vec::new();
        for field in fields {
            if let Some(start) = field.find('|') {
                let hashed = field.get(start..).unwrap_or_default();
                let is_decoration = |c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c);
                guesses.push(match Self::parse(hashed.trim_end_matches(is_decoration)) {
                    Some(hashed) => Guess::Hashed(hashed),
                    None => Guess::Any,
                });
                continue;
            }
            let field = field.to_lowercase();
            // Invisible characters may stand between two names, and in a name.
            let visible = field.replace(|c: char| !c.is_ascii() && !c.is_alphanumeric(), "");
            for text in [field.as_str(), visible.as_str()] {
                let words = text.split(|c| !is_part_of_name(c)).filter(|word| {
                    word.contains(|c: char| c.is_alphanumeric() || "*?".contains(c))
                });
                guesses.extend(words.map(|word| Guess::Word(word.to_owned())));
            }
        }
        Self::Guessed(guesses)
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
            Self::Guessed(guesses) => {
                guesses.is_empty() || guesses.iter().any(|guess| guess.may_be(name))
            }
        }
    }
}

impl Guess {
    fn may_be(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Hashed(names) => names.match_name(name),
            Self::Word(word) => {
                let is_edge = |c: char| !c.is_alphanumeric() && !"*?".contains(c);
                let without_port = match word.rsplit_once(':') {
                    Some((host, port)) if is_port(port) => host,
                    _ => word,
                };
                let address = |text: &str| text.parse::<IpAddr>().ok();
                [word, without_port].iter().any(|text| {
                    glob(text, name)
                        || glob(text.trim_matches(is_edge), name)
                        || address(text).is_some_and(|it| Some(it) == address(name))
                })
            }
        }
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || "*?.-_:%".contains(c)
}

/// Whether a part of a list of names can match a name: `name`, an address, `[host]:port`, or a
/// pattern of those.
fn is_pattern(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let (host, is_bracketed) = match pattern.strip_prefix('[') {
        None => (pattern, false),
        Some(rest) => match rest.split_once("]:") {
            // Port 22 is never written, so this matches nothing.
            Some((_, "22")) | None => return false,
            Some((_, port)) if !port.chars().all(|c| c.is_ascii_digit() || "*?".contains(c)) => {
                return false;
            }
            Some((host, _)) => (host, true),
        },
    };
    // `host:port` without brackets matches nothing.
    let is_host_and_port = host.matches(':').count() == 1 && !host.contains(['*', '?']);
    host.chars().all(is_part_of_name)
        && (is_bracketed || !is_host_and_port)
        && !host.starts_with(['-', '.', '%'])
        && (!host.starts_with(':') || host.starts_with("::"))
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
