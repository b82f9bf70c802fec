//! The certificates of secure listeners: self-signed, for every name that their rules have.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::super::model::Listener;

/// The names that a listener answers to, and always those of the sandbox.
pub(super) fn names(listener: &Listener) -> Vec<String> {
    let fixed = [super::super::DOMAIN, super::DOMAIN].map(|domain| format!("*.{domain}"));
    let hosts = listener.rules.iter().filter_map(|rule| rule.host.clone());
    let all: BTreeSet<String> = fixed.into_iter().chain(hosts).collect();
    all.into_iter().collect()
}

/// A certificate for the names, as a server needs it.
pub(super) fn config(names: &[String]) -> anyhow::Result<Arc<ServerConfig>> {
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(names.to_vec())?;
    certificate
        .distinguished_name
        .push(DnType::CommonName, "berth sandbox load balancer");
    let certificate = certificate.self_signed(&key)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .context("the load balancer's certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
