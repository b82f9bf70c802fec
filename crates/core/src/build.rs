//! A build of an image: its name and its state.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, label};

/// The longest name of a build, so that there is room for what Kubernetes adds to a Job's name.
const LONGEST: usize = 52;
/// Characters of the random part.
const RANDOM: usize = 6;
/// No vowels, so that no words come of it, and nothing that looks like something else.
const ALPHABET: [char; 28] = [
    'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y',
    'z', '2', '3', '4', '5', '6', '7', '8', '9',
];

/// The name of a build and of its Job: an RFC 1123 label of at most 52 characters, such as
/// `build-hosting-agent-images-k3f9x2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(String);

impl BuildId {
    /// The readable part of `prefix` (letters and digits, everything else one `-`, cut to fit), and six
    /// characters that `random` decides. There are 480 million of them: two builds can meet.
    #[must_use]
    pub fn new(prefix: &str, random: u32) -> Self {
        let mut readable = label::slug(prefix, LONGEST - RANDOM - 1);
        if readable.is_empty() {
            readable.push_str("build");
        }
        readable.push('-');
        let mut rest = random as usize;
        for _ in 0..RANDOM {
            readable.extend(ALPHABET.get(rest % ALPHABET.len()));
            rest /= ALPHABET.len();
        }
        Self(readable)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BuildId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if label::is_label(text) && text.len() <= LONGEST {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "build",
            text,
            "is not a build's name",
            "use the name that the build was announced with: at most 52 lower-case letters, digits \
             and `-`, with a letter or digit at both ends",
        ))
    }
}

impl TryFrom<String> for BuildId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is remembered of a build's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    /// Begun, and its end has not been seen yet.
    Running,
    /// The image was pushed.
    Succeeded,
    /// There is no image; the failure says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl BuildStatus {
    /// `running`, `succeeded`, `failed` or `cancelled`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for BuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BuildStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [
            Self::Running,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            Invalid::new(
                "build status",
                text,
                "is not known",
                "use running, succeeded, failed or cancelled",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_named_after_its_image_and_by_chance() {
        let named = |prefix, random| BuildId::new(prefix, random).to_string();
        let first = named("build-hosting/agent-images", 1);
        assert_eq!(first, "build-hosting-agent-images-cbbbbb");
        assert_ne!(first, named("build-hosting/agent-images", 2));
        assert_eq!(named("🚢", 0), "build-bbbbbb");
    }

    #[test]
    fn every_name_that_is_made_is_one_that_is_taken() {
        let long = "registry.example.com/".repeat(20);
        for prefix in ["", "-", "a", "A_b", "9", "--a--", &long] {
            for random in [0, 1, 1_000_000, u32::MAX] {
                let id = BuildId::new(prefix, random);
                assert!(id.as_str().len() <= LONGEST, "{id}");
                assert_eq!(id.as_str().parse(), Ok(id));
            }
        }
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "ä", &long] {
            let refused = bad.parse::<BuildId>().unwrap_err();
            assert_eq!(refused.field(), "build", "{bad}");
        }
    }

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in ["running", "succeeded", "failed", "cancelled"] {
            let read: BuildStatus = status.parse().unwrap();
            assert_eq!(read.as_str(), status);
            assert_eq!(serde_json::to_value(read).unwrap(), status);
        }
        assert!("Running".parse::<BuildStatus>().is_err());
    }
}
