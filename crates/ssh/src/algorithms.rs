//! The algorithms that are offered in the key exchange, and what to say when the host has none of
//! them.

use std::borrow::Cow;

use russh::client::GexParams;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{AlgorithmKind, Preferred, cipher, kex, mac};

/// Those that OpenSSH has by default, in its order, as far as russh has them.
pub(super) const PREFERRED: Preferred = Preferred {
    kex: Cow::Borrowed(&[
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
        kex::DH_GEX_SHA256,
        kex::DH_G16_SHA512,
        kex::DH_G18_SHA512,
        kex::DH_G17_SHA512,
        kex::DH_G15_SHA512,
        kex::DH_G14_SHA256,
        kex::EXTENSION_SUPPORT_AS_CLIENT,
        kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    ]),
    cipher: Cow::Borrowed(&[
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_GCM,
        cipher::AES_128_GCM,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ]),
    // HMAC with SHA-1 is still safe, and all that some old servers have.
    mac: Cow::Borrowed(&[
        mac::HMAC_SHA512_ETM,
        mac::HMAC_SHA256_ETM,
        mac::HMAC_SHA1_ETM,
        mac::HMAC_SHA512,
        mac::HMAC_SHA256,
        mac::HMAC_SHA1,
    ]),
    ..Preferred::DEFAULT
};

/// The group sizes of `diffie-hellman-group-exchange-sha256`, in bits: OpenSSH's smallest and
/// largest, and what it asks for with keys of 128 bits. russh would ask for the largest, which takes
/// seconds to compute, and refuse what some servers have.
pub(super) fn group_sizes() -> GexParams {
    GexParams::new(2048, 3072, 8192).unwrap_or_default()
}

/// All host key types we take, those that the host is known by first. `ssh-rsa` with SHA-1 is not
/// offered.
pub(super) fn host_keys(known: &[Algorithm]) -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let mut all = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ];
    // Stable: within the two halves the order above remains.
    all.sort_by_key(|algorithm| !known.iter().any(|one| same_type(one, algorithm)));
    all
}

/// Whether keys of one algorithm can be used with the other: RSA comes with several hashes.
pub(super) fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    let is_rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    one == other || (is_rsa(one) && is_rsa(other))
}

/// What the host lacks, and the line of its configuration that adds it.
pub(super) fn mismatch(
    kind: &AlgorithmKind,
    ours: &[String],
    theirs: &[String],
) -> (String, String) {
    let (what, line) = match kind {
        AlgorithmKind::Kex => ("key exchange algorithm", "KexAlgorithms +curve25519-sha256"),
        AlgorithmKind::Key => ("host key algorithm", "HostKeyAlgorithms +ssh-ed25519"),
        AlgorithmKind::Cipher => ("cipher", "Ciphers +aes256-ctr"),
        AlgorithmKind::Mac => ("MAC", "MACs +hmac-sha2-256"),
        AlgorithmKind::Compression => ("compression", "Compression no"),
    };
    let (ours, theirs) = (real(ours), real(theirs));
    let reason = format!(
        "no common {what}; the host offers {}, and berth supports {}",
        theirs.join(", "),
        ours.join(", ")
    );
    let remedy =
        format!("let the host support one of those by a line in its sshd_config, such as `{line}`");
    (reason, remedy)
}

/// Without the names that only announce an extension (RFC 8308, OpenSSH's PROTOCOL, Dropbear).
fn real(names: &[String]) -> Vec<&str> {
    const PSEUDO: [&str; 3] = ["ext-info-", "kex-strict-", "kexguess2@"];
    names
        .iter()
        .map(String::as_str)
        .filter(|name| !PSEUDO.iter().any(|pseudo| name.starts_with(pseudo)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_names_what_is_missing_and_the_line_that_adds_it() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (reason, remedy) = mismatch(
            &AlgorithmKind::Kex,
            &names(&["curve25519-sha256", "ext-info-c"]),
            &names(&[
                "sntrup761x25519-sha512@openssh.com",
                "kex-strict-s-v00@openssh.com",
                "ext-info-s",
                "kexguess2@matt.ucc.asn.au",
            ]),
        );
        assert_eq!(
            reason,
            "no common key exchange algorithm; the host offers \
             sntrup761x25519-sha512@openssh.com, and berth supports curve25519-sha256"
        );
        assert!(
            remedy.contains("`KexAlgorithms +curve25519-sha256`"),
            "{remedy}"
        );
    }
}
