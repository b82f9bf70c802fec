//! The fingerprint of a public key.

use russh::keys::{HashAlg, PublicKey};

use super::Fingerprint;

/// The SHA-256 fingerprint of a key.
pub(super) fn fingerprint_of(key: &PublicKey) -> Fingerprint {
    // Asked for SHA-256, the answer is always 32 bytes; the fallback can't be reached and would
    // match no key.
    let digest = key.fingerprint(HashAlg::Sha256).sha256();
    Fingerprint::from_digest(digest.unwrap_or_default())
}
