//! A certificate with its private key, as PEM.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::{
    InconsistentKeys,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, prelude::X509Certificate};

/// A certificate chain and its key, ready for handshakes.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// DNS names of the certificate in lower case, wildcards included.
    pub(super) names: Vec<String>,
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
}

/// The reason for which texts are no pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The text for the certificate cannot be parsed as PEM.
    #[error("the certificate is not valid PEM")]
    CertificatePem(#[source] pem::Error),
    /// The text for the certificate has none.
    #[error(
        "there is no certificate in it; expected PEM with `BEGIN CERTIFICATE`, the server's certificate first"
    )]
    NoCertificate,
    /// The certificate's content cannot be parsed.
    #[error("the certificate is damaged: {0}")]
    Certificate(String),
    /// The text for the key has no usable key.
    #[error("there is no private key in it; expected PEM with `BEGIN PRIVATE KEY`, not encrypted")]
    NoKey(#[source] pem::Error),
    /// The key is of a kind that TLS cannot use.
    #[error(
        "the private key cannot be used; expected RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519"
    )]
    Key(#[source] rustls::Error),
    /// Certificate and key belong to different pairs.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl PairError {
    /// Returns true if the text of the key is at fault, rather than that of the certificate.
    pub(super) fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey(_) | Self::Key(_) | Self::Mismatch)
    }
}

impl Pair {
    /// Parses a chain and its key.
    pub(super) fn parse(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(PairError::CertificatePem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(PairError::NoKey)?;
        Self::new(chain, key)
    }

    /// Checks a chain against its key.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PairError> {
        let damaged = |error: &dyn std::fmt::Display| PairError::Certificate(error.to_string());
        let first = chain.first().ok_or(PairError::NoCertificate)?;
        let (_, certificate) = parse_x509_certificate(first).map_err(|error| damaged(&error))?;
        let date = |time: x509_parser::time::ASN1Time| {
            DateTime::from_timestamp(time.timestamp(), 0).ok_or_else(|| damaged(&"a date is out of range"))
        };
        let validity = certificate.validity();
        let (not_before, not_after) = (date(validity.not_before)?, date(validity.not_after)?);
        let names = dns_names(&certificate);
        let key =
            CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => PairError::Mismatch,
                rustls::Error::InvalidCertificate(_) => damaged(&error),
                _ => PairError::Key(error),
            })?;
        Ok(Self { key: Arc::new(key), names, not_before, not_after })
    }
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::test_pairs::TestPair, *};

    #[test]
    fn a_pair_knows_its_names_and_dates() {
        let made = TestPair::new(&["Wrenn.example.com", "*.preview.example.com"]);
        let pair = Pair::parse(made.chain.as_bytes(), made.key.as_bytes()).unwrap();
        assert_eq!(pair.names, ["wrenn.example.com", "*.preview.example.com"]);
        assert!(pair.not_before < pair.not_after);
    }

    #[test]
    fn each_fault_is_named() {
        let (one, other) = (TestPair::new(&["a.example.com"]), TestPair::new(&["a.example.com"]));
        let error = |chain: &str, key: &str| Pair::parse(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(error("", &one.key), PairError::NoCertificate));
        assert!(matches!(error(&one.key, &one.key), PairError::NoCertificate));
        assert!(matches!(error(&one.chain, ""), PairError::NoKey(_)));
        assert!(matches!(error(&one.chain, &one.chain), PairError::NoKey(_)));
        assert!(matches!(error(&one.chain, &other.key), PairError::Mismatch));
        let half = &one.chain[..one.chain.len() / 2];
        assert!(matches!(error(half, &one.key), PairError::CertificatePem(_)));
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(error(damaged, &one.key), PairError::Certificate(_)));
        assert!(error(&one.chain, &other.key).is_of_key() && !error("", &one.key).is_of_key());
    }
}
