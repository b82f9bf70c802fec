//! What an image's bytes are known by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// An image's digest, as `sha256:` and 64 lower-case hexadecimal digits.
///
/// Other algorithms are registered, but neither registries nor builders use them
/// (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// `sha256:` and the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        text.strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(is_digit))
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| {
                Invalid::new(
                    "digest",
                    text,
                    "is not one",
                    "use sha256: and 64 lower-case hexadecimal digits",
                )
            })
    }
}

impl TryFrom<String> for Digest {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_sha256_digests_are_taken() {
        let good = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().as_str(), good);
        for bad in [
            String::new(),
            "0f".repeat(32),
            good.to_uppercase(),
            good.replace("0f", "0F"),
            format!("{good}0"),
            format!("{good}\n"),
            format!("sha512:{}", "0f".repeat(64)),
        ] {
            let refused = bad.parse::<Digest>().unwrap_err();
            assert_eq!(refused.field(), "digest", "{bad:?}");
        }
    }
}
