//! The name of an object that somebody else has made, such as a Secret or a claim.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, label};

/// The longest name.
const LONGEST: usize = 253;

/// An object's name: RFC 1123 labels with dots between them, 253 characters at most
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(String);

impl ObjectName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() <= LONGEST && text.split('.').all(label::is_label) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "object's name",
            text,
            "is no name of an object",
            "use lower-case letters, digits, - and ., with a letter or digit at both ends",
        ))
    }
}

impl TryFrom<String> for ObjectName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_other_text() {
        for good in ["a", "tls.example.com", "registry-credentials", "0"] {
            assert!(good.parse::<ObjectName>().is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "a..b", "-a", "a b", "a/b", &"a".repeat(64)] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
        }
    }
}
