//! The namespace of an owner.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Owner;

/// The longest name of a namespace: an RFC 1123 label.
const LONGEST: usize = 63;
/// Hexadecimal digits of the id's hash: 80 bits.
const HASH: usize = 20;

/// A Kubernetes namespace that berth made for one owner.
///
/// The name is readable when the id is already a good label (`project-shop`), otherwise a slug and
/// a hash (`project-my-shop--0f3c…`). A readable name never has `--` in it, so the two forms never
/// meet, and two ids never share a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Namespace(String);

impl Namespace {
    pub(super) fn of(owner: &Owner) -> Self {
        let kind = owner.kind().as_str();
        let id = owner.id();
        let room = LONGEST - kind.len() - 1;
        if is_plain_label(id) && id.len() <= room {
            return Self(format!("{kind}-{id}"));
        }
        let hash: String = Sha256::digest(id.as_bytes())
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .take(HASH)
            .collect();
        let slug = slug(id, room - HASH - 2);
        if slug.is_empty() {
            // `id` keeps the name a label: it may not start or end with `-`.
            return Self(format!("{kind}-id--{hash}"));
        }
        Self(format!("{kind}-{slug}--{hash}"))
    }

    /// The name, an RFC 1123 label of at most 63 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain_label(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !id.starts_with('-')
        && !id.ends_with('-')
        && !id.contains("--")
}

/// The readable part of an id: lower-case letters and digits, everything else one `-`.
pub(super) fn slug(id: &str, longest: usize) -> String {
    let mut slug = String::new();
    for c in id.chars().map(|c| c.to_ascii_lowercase()) {
        if slug.len() == longest {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn project(id: &str) -> String {
        Owner::project(id).unwrap().namespace().to_string()
    }

    #[test]
    fn a_good_label_stays_readable() {
        assert_eq!(project("shop-7"), "project-shop-7");
        assert_eq!(
            Owner::conversation("42").unwrap().namespace().as_str(),
            "conversation-42"
        );
    }

    #[test]
    fn any_other_id_becomes_slug_and_hash() {
        assert_eq!(project("My Shop"), "project-my-shop--b14e767036cc8d6b1dad");
        assert!(project("🚢").starts_with("project-id--"));
    }

    #[test]
    fn names_are_labels_and_never_meet() {
        let long = "a".repeat(255);
        let ids = [
            "shop",
            "Shop",
            "SHOP",
            "shop ",
            "s-hop",
            "s--hop",
            "s_hop",
            "s.hop",
            "-shop",
            "🚢",
            "../shop",
            "$(shop)",
            "'shop'",
            "\"shop\"",
            "🚣",
            "--",
            "-",
            &long[..54],
            &long[..55],
            &long[..56],
            &long,
            "my-shop--b14e767036cc8d6b1dad",
            "My Shop",
        ];
        let names: HashSet<_> = ids.iter().map(|id| project(id)).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
        }
    }
}
