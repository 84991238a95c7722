//! Certificates for tests.

use rcgen::{CertificateParams, KeyPair};

/// A self-signed certificate and its key, as PEM.
pub(super) struct TestPair {
    pub(super) chain: String,
    pub(super) key: String,
}

impl TestPair {
    pub(super) fn new(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        Self { chain: certificate.pem(), key: key.serialize_pem() }
    }
}
