//! What a build starts from: the choice of a Dockerfile, and the name of the bytes that were packed.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Bytes of a SHA-256.
const BYTES: usize = 32;
/// Hexadecimal digits of the hash in an object's name: 160 bits, so that two contexts never share
/// one, by chance or by design; with `instance-` before them they are a label of 49 characters.
const IN_NAME: usize = 40;

/// Which Dockerfile a build follows, as its user chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// A file: relative to the context's folder, or anywhere by an absolute path.
    File(PathBuf),
    /// A Dockerfile template.
    Template {
        /// The template's name, such as `simple-api`.
        name: String,
        /// What its variables are to be, by name; the others have their defaults.
        variables: BTreeMap<String, String>,
    },
}

impl Default for Dockerfile {
    /// The file `Dockerfile` in the context's folder.
    fn default() -> Self {
        Self::File(PathBuf::from("Dockerfile"))
    }
}

/// A Dockerfile template that was filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderedDockerfile {
    /// The Dockerfile's text.
    pub text: String,
    /// The files that come with it, by their path in the context. Those of the user's own win.
    pub files: BTreeMap<String, TemplateFile>,
}

/// A file that comes with a Dockerfile template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    /// What is in it.
    pub contents: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// The SHA-256 of a packed build context: equal content has an equal hash, on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContextHash([u8; BYTES]);

impl ContextHash {
    /// The annotation that holds the whole hash on what was made for a context. (A label can't: its
    /// values end at 63 characters, and this has 64.)
    pub const ANNOTATION: &'static str = "berth.dev/context-hash";

    /// The hash that a SHA-256 has computed.
    #[must_use]
    pub fn new(sha256: [u8; BYTES]) -> Self {
        Self(sha256)
    }

    /// The name of the ConfigMap that holds the context, `instance-` and 40 digits of the hash. It
    /// is a valid label too.
    #[must_use]
    pub fn object_name(&self) -> String {
        let digits: String = self.to_string().chars().take(IN_NAME).collect();
        format!("instance-{digits}")
    }
}

impl fmt::Display for ContextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextHash({self})")
    }
}

impl FromStr for ContextHash {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(
                "context hash",
                text,
                "is no SHA-256",
                "give its 64 hexadecimal digits, in small letters",
            )
        };
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 2 * BYTES || !text.bytes().all(is_digit) {
            return Err(refused());
        }
        let mut hash = [0; BYTES];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for ContextHash {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<ContextHash> for String {
    fn from(hash: ContextHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00ff0123456789abcdef00112233445566778899aabbccddeeff010203040506";

    #[test]
    fn a_hash_comes_back_from_its_digits() {
        let hash: ContextHash = HEX.parse().unwrap();
        assert_eq!(hash.to_string(), HEX);
        assert_eq!(serde_json::to_string(&hash).unwrap(), format!("\"{HEX}\""));
        let upper = HEX.to_uppercase();
        for bad in [
            &HEX[1..],
            &upper,
            "",
            &HEX.replace('0', "g"),
            &"é".repeat(32),
        ] {
            assert!(bad.parse::<ContextHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_object_name_is_a_label_that_begins_with_the_hash() {
        let name = HEX.parse::<ContextHash>().unwrap().object_name();
        assert_eq!(
            name,
            "instance-00ff0123456789abcdef001122334455667788 99".replace(' ', "")
        );
        assert!(name.len() <= 63);
    }
}
