//! TLS that trusts what the operating system trusts, for all that speaks it: the database, and the
//! look at a deployment's public address.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A client's settings with the certificates of the operating system, or those that `SSL_CERT_FILE`
/// and `SSL_CERT_DIR` name. They are a hundred files or more: not to be called where waiting hurts.
///
/// # Errors
/// When the cryptography can't be set up.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for problem in &found.errors {
        tracing::warn!(%problem, "could not read a certificate of the system");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}
