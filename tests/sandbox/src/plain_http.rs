//! The client of registries: HTTP without TLS, and without a proxy in between.

use reqwest::Client;
use tokio_rustls::rustls::crypto::ring;

/// A client of its own.
pub(crate) fn client() -> reqwest::Result<Client> {
    // Built beside berth, reqwest has TLS and wants to know whose, though nothing here speaks it. One
    // that is there already stays.
    let _ = ring::default_provider().install_default();
    Client::builder().no_proxy().build()
}
