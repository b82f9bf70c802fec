//! The HTTP client of the sandbox, which speaks plain HTTP alone.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A client that goes through no proxy and trusts nobody's certificate.
///
/// Built beside berth, the library has TLS and would look for the certificates of the operating
/// system, which a pod has none of.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().no_proxy();
    Ok(builder.tls_backend_preconfigured(tls).build()?)
}
