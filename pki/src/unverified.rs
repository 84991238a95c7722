//! Connections to a server whose certificate is not verified: to ask this machine's own server something that is no secret, and
//! to see what certificate a server has.

use std::sync::Arc;

use rustls::{ClientConfig, Error, crypto::CryptoProvider};

use crate::verifier::{CertificateRule, Presented, RuleVerifier};

/// Makes a client accept every certificate. Nothing that the client sends then is a secret.
pub fn accept_every_certificate(config: &mut ClientConfig) {
    config.dangerous().set_certificate_verifier(RuleVerifier::new(AcceptsAll));
}

#[derive(Debug)]
struct AcceptsAll;

impl CertificateRule for AcceptsAll {
    fn check(&self, _: &Presented<'_>, _: &Arc<CryptoProvider>) -> Result<(), Error> {
        Ok(())
    }
}
