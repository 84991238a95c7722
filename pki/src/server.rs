//! The control plane's end of the link.

use std::{fmt, io, sync::Arc, time::SystemTime};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use wrenn_domain::ids::HostId;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::{ALPN, Authority, CertificateError, Fingerprint, VERSIONS, provider};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A stranger without a certificate, who can register and nothing else.
    Unknown,
    /// A host with the key of a certificate that the authority made for it, and that has not expired.
    Host {
        /// The host.
        host: HostId,
        /// The certificate, which may have been revoked.
        certificate: Fingerprint,
    },
}

/// Accepts connections of agents.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Makes a key and a certificate for this process.
    ///
    /// # Errors
    /// If the authority cannot be used.
    pub fn new(authority: &Authority, now: SystemTime) -> Result<Self, CertificateError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()?;
        let (chain, key) = authority.server_identity(now)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would not show the certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Carries the handshake out. It has no time limit of its own.
    ///
    /// # Errors
    /// If the other end speaks no TLS, or shows a certificate that is not valid.
    pub async fn accept<IO>(&self, stream: IO) -> io::Result<(TlsStream<IO>, Peer)>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.0.accept(stream).await?;
        let peer = match stream.get_ref().1.peer_certificates() {
            None | Some([]) => Peer::Unknown,
            Some([certificate, ..]) => Peer::Host {
                host: host_of(certificate)
                    .ok_or_else(|| io::Error::other("the certificate names no host"))?,
                certificate: Fingerprint::of(certificate),
            },
        };
        Ok((stream, peer))
    }
}

/// Returns the host in the subject of a certificate.
fn host_of(certificate: &[u8]) -> Option<HostId> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    name.parse().ok().filter(|_| names.next().is_none())
}
