//! The private authority, and the keys and certificates that come of it.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use wrenn_domain::ids::HostId;

use crate::SERVER_NAME;

/// Life of the authority, and of the certificates of server processes, which are made anew at each start.
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);
/// Clocks of hosts may be slow by as much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// Longest encoding of a public key that is parsed; one of P-256 takes 91 bytes.
const PUBLIC_KEY_MAX_BYTES: usize = 256;

/// The reason for which a key or a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The kept authority or a key cannot be parsed, or a signature failed.
    #[error("the key or certificate cannot be used")]
    Generate(#[from] rcgen::Error),
    /// The public key is not one that is certified.
    #[error("the public key is not a P-256 key in DER")]
    PublicKey,
    /// A kept key is no private key.
    #[error("the private key cannot be parsed")]
    PrivateKey,
    /// TLS does not accept the keys or certificates.
    #[error("TLS cannot be configured")]
    Tls(#[from] rustls::Error),
    /// The certificates of the authority are not valid for verification.
    #[error("the authority's certificate cannot verify others")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Returns the fingerprint of a certificate.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    /// Base64 for URLs, 43 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 43 characters of base64 for URLs")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| FingerprintError)?;
        bytes.try_into().map(Self).map_err(|_| FingerprintError)
    }
}

/// An authority as it is kept. `Debug` shows no key.
#[derive(Clone)]
pub struct AuthorityParts {
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// Its private key, as PKCS #8 in DER.
    pub private_key: Vec<u8>,
}

impl fmt::Debug for AuthorityParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityParts({})", Fingerprint::of(&self.certificate))
    }
}

/// The private authority of an installation.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn generate(now: SystemTime) -> Result<AuthorityParts, CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(now, AUTHORITY_LIFE);
        params.distinguished_name.push(DnType::CommonName, "Wrenn agents");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        Ok(AuthorityParts { certificate: certificate.der().to_vec(), private_key: key.serialize_der() })
    }

    /// Reads a kept authority.
    ///
    /// # Errors
    /// If the parts are not those of an authority.
    pub fn from_parts(parts: &AuthorityParts) -> Result<Self, CertificateError> {
        let certificate = CertificateDer::from(parts.certificate.clone());
        let issuer = Issuer::from_ca_cert_der(&certificate, key_pair(&parts.private_key)?)?;
        Ok(Self { certificate, issuer })
    }

    /// Returns the fingerprint by which agents know the authority.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// Certifies the key of a host, from now on for so long.
    ///
    /// # Errors
    /// If the public key is none of P-256.
    pub fn certify_host(
        &self,
        host: HostId,
        public_key: &[u8],
        now: SystemTime,
        valid_for: Duration,
    ) -> Result<Vec<u8>, CertificateError> {
        if public_key.len() > PUBLIC_KEY_MAX_BYTES {
            return Err(CertificateError::PublicKey);
        }
        let key = SubjectPublicKeyInfo::from_der(public_key).map_err(|_| CertificateError::PublicKey)?;
        if *key.algorithm() != PKCS_ECDSA_P256_SHA256 {
            return Err(CertificateError::PublicKey);
        }
        let mut params = leaf(now, valid_for, ExtendedKeyUsagePurpose::ClientAuth);
        params.distinguished_name.push(DnType::CommonName, host.to_string());
        Ok(params.signed_by(&key, &self.issuer)?.der().to_vec())
    }

    /// Makes key and certificate of a server process; the authority's certificate follows it.
    pub(crate) fn server_identity(
        &self,
        now: SystemTime,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = leaf(now, AUTHORITY_LIFE, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = vec![SanType::DnsName(SERVER_NAME.try_into()?)];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![certificate.into(), self.certificate.clone()], key.into()))
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

fn params(now: SystemTime, valid_for: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = OffsetDateTime::from(now - CLOCK_SKEW);
    params.not_after = OffsetDateTime::from(now + valid_for);
    params
}

fn leaf(now: SystemTime, valid_for: Duration, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = params(now, valid_for);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn key_pair(private_key: &[u8]) -> Result<KeyPair, CertificateError> {
    let key = PrivatePkcs8KeyDer::from(private_key);
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?)
}

/// The key of a host, which the host makes and keeps. `Debug` shows nothing of it.
pub struct HostKey(KeyPair);

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey")
    }
}

impl HostKey {
    /// Makes a key.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn generate() -> Result<Self, CertificateError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Returns the public key, as the control plane certifies it: SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// Returns the private key, as PKCS #8 in DER.
    pub fn private_key(&self) -> Vec<u8> {
        self.0.serialize_der()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_000_000)
    }

    fn authority() -> Authority {
        Authority::from_parts(&Authority::generate(now()).unwrap()).unwrap()
    }

    #[test]
    fn a_kept_authority_is_the_same_one() {
        let parts = Authority::generate(now()).unwrap();
        let authority = Authority::from_parts(&parts).unwrap();
        assert_eq!(authority.fingerprint(), Fingerprint::of(&parts.certificate));
        assert!(!format!("{parts:?}").contains("private"), "{parts:?}");
        let text = authority.fingerprint().to_string();
        assert_eq!(text.parse(), Ok(authority.fingerprint()));
        for bad in ["", "AAAA", &text[1..], &format!("{text}A")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }

    #[test]
    fn only_keys_of_hosts_are_certified() {
        let authority = authority();
        let certify = |key: &[u8]| authority.certify_host(HostId::new(), key, now(), Duration::from_secs(60));
        assert!(certify(&HostKey::generate().unwrap().public_key()).is_ok());
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().subject_public_key_info();
        for bad in [&[][..], &[0x30, 0x80], &[0; 10_000], &ed25519] {
            assert!(matches!(certify(bad), Err(CertificateError::PublicKey)), "{} bytes", bad.len());
        }
    }
}
