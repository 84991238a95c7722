//! Which certificates of a server are accepted.

use std::sync::Arc;

use anyhow::Context;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Returns a configuration that trusts what this machine trusts (`SSL_CERT_FILE`, else its roots).
pub(super) fn trusting_the_system(base_url: &str) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Reading them takes a while, and plain HTTP needs none.
    if base_url.starts_with("https://") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    config(roots)
}

/// Returns a configuration that accepts every certificate: for questions without secrets to this machine.
pub(super) fn trusting_everybody() -> anyhow::Result<ClientConfig> {
    let mut config = config(RootCertStore::empty())?;
    wrenn_pki::accept_every_certificate(&mut config);
    Ok(config)
}

fn config(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().context("cannot set TLS up")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
