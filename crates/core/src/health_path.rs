//! The path at which a deployment says that it is well.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// The longest path that a load balancer takes, in bytes
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html>).
const LONGEST: usize = 1024;

/// An absolute path that is asked for by HTTP, `/health` unless something else is said: printable ASCII
/// without spaces, 1024 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HealthPath(String);

impl HealthPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HealthPath {
    fn default() -> Self {
        Self("/health".to_owned())
    }
}

impl FromStr for HealthPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = text.starts_with('/')
            && text.len() <= LONGEST
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if good {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "health path",
            text,
            "is no path of a URL",
            "use an absolute path such as /health",
        ))
    }
}

impl TryFrom<String> for HealthPath {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<HealthPath> for String {
    fn from(path: HealthPath) -> Self {
        path.0
    }
}

impl fmt::Display for HealthPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_text() {
        for good in ["/", "/health", "/a/b?c=d&e=%20"] {
            assert!(good.parse::<HealthPath>().is_ok(), "{good}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for bad in [
            "",
            "health",
            "/a b",
            "/a\n",
            "/ü",
            "/a#b",
            "http://a/",
            &long,
        ] {
            assert!(bad.parse::<HealthPath>().is_err(), "{bad}");
        }
    }
}
