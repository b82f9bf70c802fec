//! The namespace of an owner.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::{Invalid, OwnerKind, label};

/// A Kubernetes namespace: one that berth creates for an owner, or any other.
///
/// An owner's name is readable when the id is already a good label (`project-shop`), otherwise a slug and
/// a hash (`project-my-shop--0f3c…`). A readable name never has `--` in it, so the two forms never
/// meet, and two ids never share a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of the project or conversation with this id.
    pub(super) fn of(kind: OwnerKind, id: &str) -> Self {
        let kind = kind.as_str();
        let room = label::LONGEST - kind.len() - 1;
        Self(format!("{kind}-{}", label::of(id, room)))
    }

    /// The name, an RFC 1123 label of at most 63 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Follows <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>.
impl FromStr for Namespace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if label::is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "namespace",
            text,
            "is no name of a namespace",
            "use at most 63 lower-case letters, digits and -, with a letter or digit at both ends",
        ))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Owner;

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
