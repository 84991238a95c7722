//! Verification of servers: the certificate by a rule, and the signature of the handshake in the same way for every rule.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::provider;

/// Certificates that a server has sent, and how a client asked for it.
pub(crate) struct Presented<'a> {
    /// The server's own.
    pub(crate) end_entity: &'a CertificateDer<'a>,
    /// The certificates that were sent along.
    pub(crate) intermediates: &'a [CertificateDer<'a>],
    /// The server that the client wants.
    pub(crate) server_name: &'a ServerName<'a>,
    /// The time of the handshake.
    pub(crate) now: UnixTime,
}

/// Rule for the certificates of servers.
pub(crate) trait CertificateRule: fmt::Debug + Send + Sync {
    /// Accepts or refuses a server.
    ///
    /// # Errors
    /// The reason for which it is refused.
    fn check(&self, presented: &Presented<'_>, provider: &Arc<CryptoProvider>) -> Result<(), Error>;
}

/// Verifies servers by a rule.
#[derive(Debug)]
pub(crate) struct RuleVerifier<R> {
    rule: R,
    provider: Arc<CryptoProvider>,
}

impl<R: CertificateRule> RuleVerifier<R> {
    pub(crate) fn new(rule: R) -> Arc<Self> {
        Arc::new(Self { rule, provider: provider() })
    }
}

impl<R: CertificateRule> ServerCertVerifier for RuleVerifier<R> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.rule.check(&Presented { end_entity, intermediates, server_name, now }, &self.provider)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
