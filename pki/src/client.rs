//! The agent's end of the link.

use std::{fmt, io, sync::Arc};

use rustls::{
    ClientConfig, Error, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    ALPN, CertificateError, Fingerprint, SERVER_NAME, VERSIONS, provider,
    verifier::{CertificateRule, Presented, RuleVerifier},
};

/// Key and certificate of a host.
#[derive(Clone, Copy)]
pub struct HostIdentity<'a> {
    /// The certificate, in DER.
    pub certificate: &'a [u8],
    /// The private key, as PKCS #8 in DER.
    pub private_key: &'a [u8],
}

/// Makes connections to the control plane.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

impl ClientTls {
    /// Trusts servers of this authority, and proves who we are if we are somebody already.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub fn new(authority: Fingerprint, identity: Option<HostIdentity<'_>>) -> Result<Self, CertificateError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(RuleVerifier::new(PinnedAuthority(authority)));
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(HostIdentity { certificate, private_key }) => config.with_client_auth_cert(
                vec![CertificateDer::from(certificate.to_vec())],
                PrivatePkcs8KeyDer::from(private_key.to_vec()).into(),
            )?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        let server_name = ServerName::try_from(SERVER_NAME).map_err(|_| CertificateError::PrivateKey)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// Carries the handshake out. It has no time limit of its own.
    ///
    /// # Errors
    /// If the other end is no server of the authority.
    pub async fn connect<IO>(&self, stream: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.server_name.clone(), stream).await
    }
}

/// Accepts servers by the fingerprint of their authority, whose certificate they send along.
#[derive(Debug)]
struct PinnedAuthority(Fingerprint);

impl CertificateRule for PinnedAuthority {
    fn check(&self, presented: &Presented<'_>, provider: &Arc<CryptoProvider>) -> Result<(), Error> {
        let authority =
            presented.intermediates.iter().find(|certificate| Fingerprint::of(certificate) == self.0);
        let authority = authority.ok_or_else(|| {
            Error::General("the server's certificate is not of the authority that the token names".to_owned())
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let Presented { end_entity, server_name, now, .. } = *presented;
        verifier.verify_server_cert(end_entity, &[], server_name, &[], now).map(drop)
    }
}
