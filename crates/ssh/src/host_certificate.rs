//! Whether a host's certificate is valid (PROTOCOL.certkeys): what it is for, for how long, for
//! which names, and the signature of its authority. Whether the authority is one to believe is
//! for [`super::known_hosts`] to say.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::{Fingerprint, fingerprint_of};

/// The encoded key of the authority that has signed it.
pub(super) fn authority(certificate: &Certificate) -> Option<Vec<u8>> {
    PublicKey::from(certificate.signature_key().clone())
        .to_bytes()
        .ok()
}

/// The authority that has signed it, as errors name it.
pub(super) fn signer(certificate: &Certificate) -> Fingerprint {
    fingerprint_of(&certificate.signature_key().clone().into())
}

/// `Ok` if its authority says with it that its key is one of `host`, at this time.
///
/// # Errors
/// With what is wrong about it.
pub(super) fn check(certificate: &Certificate, host: &str, now: SystemTime) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("the host's certificate is one for users".into());
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now < certificate.valid_after() {
        let from = date(certificate.valid_after());
        return Err(format!("the host's certificate is not valid before {from}"));
    }
    if now >= certificate.valid_before() {
        let until = date(certificate.valid_before());
        return Err(format!("the host's certificate expired at {until}"));
    }
    let principals = certificate.valid_principals();
    let host = host.to_lowercase();
    if !principals.is_empty() && !principals.contains(&host) {
        return Err(format!(
            "the host's certificate is for {}, not for {host}",
            principals.join(", ")
        ));
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(format!(
            "the host's certificate has the critical option {option:?}, which is not known"
        ));
    }
    // As in OpenSSH's CASignatureAlgorithms: neither SHA-1 nor DSA.
    let algorithm = certificate.signature().algorithm();
    if matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(format!(
            "the host's certificate is signed with {algorithm}, which is not safe"
        ));
    }
    let signer = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, [&signer])
        .map_err(|_| "the signature of the host's certificate is wrong".into())
}

fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0))
        .map_or_else(
            || format!("second {seconds}"),
            |date| date.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
}
