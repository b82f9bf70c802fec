//! The platform that an image is built for.

use std::{fmt, str::FromStr};

use super::Invalid;

/// An operating system and an architecture as images name them, such as `linux/arm64`
/// (<https://github.com/opencontainers/image-spec/blob/main/image-index.md>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform(String);

impl Platform {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The architecture without its variant: what the nodes' label `kubernetes.io/arch` says.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

impl FromStr for Platform {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 20
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if matches!(parts.len(), 2 | 3) && parts.iter().all(is_word) && text.starts_with("linux/") {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "platform",
            text,
            "is not one that builds can make",
            "use linux/amd64, linux/arm64 or another of linux, one a build",
        ))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_linux_platform_is_taken() {
        for (text, architecture) in [
            ("linux/amd64", "amd64"),
            ("linux/arm64/v8", "arm64"),
            ("linux/s390x", "s390x"),
        ] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!(platform.architecture(), architecture);
            assert_eq!(platform.to_string(), text);
        }
        for text in [
            "",
            "linux",
            "amd64",
            "windows/amd64",
            "linux/amd64,linux/arm64",
            "linux/",
            "linux/ARM64",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
