//! TLS that trusts what the operating system trusts, for all that speaks it: the database, and the
//! look at a deployment's public address.

use std::{error::Error, io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Checks that the text is certificates in PEM, at least one, each of which can be trusted, and that
/// it has no private key.
///
/// # Errors
/// What is wrong with it.
pub fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let has_key = pem
        .windows(PRIVATE_KEY.len())
        .any(|window| window == PRIVATE_KEY);
    if has_key {
        return Err("has a private key in it".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("has a certificate that can't be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err("has no certificate in PEM".to_owned());
    }
    Ok(())
}

/// The end of the first line of each kind of private key.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// A client's settings with the certificates of the operating system, or those that `SSL_CERT_FILE`
/// and `SSL_CERT_DIR` name, and with those in `more`, in PEM. They are a hundred files or more: not to be
/// called where waiting hurts.
///
/// # Errors
/// When the cryptography can't be set up, or no certificate can be read.
pub fn client_config(more: &[u8]) -> Result<ClientConfig, TlsError> {
    check_named_file()?;
    let found = rustls_native_certs::load_native_certs();
    for problem in &found.errors {
        tracing::warn!(%problem, "could not read a certificate of the system");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    for certificate in CertificateDer::pem_slice_iter(more) {
        let certificate = certificate.map_err(|error| TlsError::General(error.to_string()))?;
        roots.add(certificate)?;
    }
    // No server would be trusted.
    if let (true, Some(problem)) = (roots.is_empty(), found.errors.first()) {
        let problem = format!("no trusted certificate can be read: {problem}");
        return Err(TlsError::General(problem));
    }
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

/// A slip in `SSL_CERT_FILE` would only be seen as an authority that is not trusted.
fn check_named_file() -> Result<(), TlsError> {
    let Some(file) = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) else {
        return Ok(());
    };
    let problem = match std::fs::metadata(&file) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => "it is not a regular file".to_owned(),
        Err(error) => error.to_string(),
    };
    let file = file.to_string_lossy();
    Err(TlsError::General(format!(
        "SSL_CERT_FILE {file} can't be read: {problem}"
    )))
}

/// Explains in words why a server's certificate was refused, and what to do about it; `None` for an
/// error that no certificate caused.
#[must_use]
pub fn certificate_problem(error: &(dyn Error + 'static)) -> Option<(String, &'static str)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(TlsError::InvalidCertificate(problem)) = tls_error(error) {
            return Some(explain(problem));
        }
        next = error.source();
    }
    None
}

/// An `io::Error` does not name the error that it holds as its source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let held = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(held)
}

fn explain(problem: &CertificateError) -> (String, &'static str) {
    use CertificateError as E;
    const AUTHORITY: &str = "name the certificate of the server's authority in SSL_CERT_FILE, or add \
                             it to the system's certificates";
    match problem {
        E::UnknownIssuer => (
            "its certificate was issued by an authority that is not trusted here".to_owned(),
            AUTHORITY,
        ),
        // An authority of the same name is trusted, as with two self-signed certificates.
        E::BadSignature | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => (
            "its certificate was not signed by the authority that is trusted here".to_owned(),
            AUTHORITY,
        ),
        E::Expired | E::ExpiredContext { .. } => (
            "its certificate has expired".to_owned(),
            "renew the server's certificate, or correct the clock of this machine",
        ),
        E::NotValidYet | E::NotValidYetContext { .. } => (
            "its certificate is not valid yet".to_owned(),
            "correct the clock of this machine or of the server that issued the certificate",
        ),
        E::NotValidForName => (
            "its certificate is for another host".to_owned(),
            "use a host name that the certificate has, or renew the certificate with this one",
        ),
        E::NotValidForNameContext { presented, .. } => (
            format!("its certificate is for {}", presented.join(", ")),
            "use a host name that the certificate has, or renew the certificate with this one",
        ),
        E::Revoked => (
            "its certificate was revoked".to_owned(),
            "renew the server's certificate",
        ),
        // webpki's words for a self-signed certificate that is marked as an authority's.
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            "its certificate is that of an authority and not of a server".to_owned(),
            "give the server a certificate of its own, without CA:TRUE",
        ),
        other => (
            format!("its certificate can't be used: {other}"),
            "renew the server's certificate",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_explained_in_words() {
        for (problem, words, remedy) in [
            (
                CertificateError::UnknownIssuer,
                "not trusted",
                "SSL_CERT_FILE",
            ),
            (CertificateError::Expired, "has expired", "renew"),
            (CertificateError::NotValidYet, "not valid yet", "clock"),
            (
                CertificateError::NotValidForName,
                "another host",
                "host name",
            ),
            (CertificateError::Revoked, "was revoked", "renew"),
            (
                CertificateError::BadSignature,
                "not signed by",
                "SSL_CERT_FILE",
            ),
            (CertificateError::BadEncoding, "can't be used", "renew"),
        ] {
            // As tokio-rustls passes it on.
            let error = io::Error::other(TlsError::InvalidCertificate(problem));
            let (said, hint) = certificate_problem(&error).unwrap();
            assert!(said.contains(words), "{said}");
            assert!(hint.contains(remedy), "{hint}");
        }
        let other = io::Error::other(TlsError::DecryptError);
        assert_eq!(certificate_problem(&other), None);
    }
}
