//! The short name of a public key: `SHA256:` and 43 characters, as `ssh-keygen -l` prints it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use russh::keys::{HashAlg, PublicKey};

const PREFIX: &str = "SHA256:";

/// The SHA-256 fingerprint of a public key.
///
/// Parses and prints as OpenSSH does (`FingerprintHash sha256`, the default since 6.8): the
/// prefix `SHA256:` and unpadded base64. One trailing `=` is tolerated on the way in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        // Asked for SHA-256, the answer is always 32 bytes; the fallback can't be reached and
        // would match no key.
        Self(
            key.fingerprint(HashAlg::Sha256)
                .sha256()
                .unwrap_or_default(),
        )
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a `SHA256:` fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key fingerprint: expected `SHA256:` and 43 characters of base64")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digest = text.trim().strip_prefix(PREFIX).ok_or(FingerprintError)?;
        STANDARD_NO_PAD
            .decode(digest)
            .or_else(|_| STANDARD.decode(digest))
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(FingerprintError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM";

    #[test]
    fn prints_what_it_parsed() {
        let fingerprint: Fingerprint = TEXT.parse().unwrap();
        assert_eq!(fingerprint.to_string(), TEXT);
        assert_eq!(format!("{fingerprint:?}"), TEXT);
        assert_eq!(format!(" {TEXT}=\n").parse(), Ok(fingerprint));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "SHA256:",
            "MD5:16:27:ac:a5",
            "Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM",
            "SHA256:Nh0Me49Zh9",
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
