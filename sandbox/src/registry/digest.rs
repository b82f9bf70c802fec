//! Content addresses: `sha256:` and 64 hexadecimal digits, the one algorithm spoken here.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A digest that is well formed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest(String);

impl Digest {
    /// Takes a digest as it is written in references and manifests.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let well_formed = hex.len() == 64
            && hex
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The digest of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.digest()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone, fit for a file's name.
    pub(crate) fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A digest in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum(Sha256);

impl Sum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything that was added.
    pub(crate) fn digest(self) -> Digest {
        let hex = self
            .0
            .finalize()
            .iter()
            .fold(String::new(), |all, byte| format!("{all}{byte:02x}"));
        Digest(format!("sha256:{hex}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn only_what_is_a_digest_is_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert_eq!(Digest::parse(empty), Some(Digest::of(b"")));
        for wrong in [
            "",
            "sha256:",
            &empty.to_uppercase(),
            "sha512:aa",
            "sha256:../../../etc",
        ] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }
}
