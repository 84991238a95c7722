//! Receivers behind TLS, with certificates of an authority that the test makes.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use wrenn_domain::action::Method;

use super::*;

/// The only address that the operator allows.
const ALLOWED: &str = "127.0.0.2";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Starts a receiver whose certificate is for `name`. It answers 200 to its first request, which the task returns.
    async fn receiver(&self, ip: &str, name: &str) -> (SocketAddr, JoinHandle<io::Result<String>>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                stream.read_buf(&mut request).await?;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            stream.shutdown().await?;
            Ok(String::from_utf8_lossy(&request).into_owned())
        });
        (addr, task)
    }
}

/// Client that trusts `root` alone.
fn client(root: CertificateDer<'static>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let builder = HttpsConnectorBuilder::new().with_tls_config(trusting(roots));
    Client::with(builder, ALLOWED.parse().unwrap(), Clock::manual().0)
}

fn outgoing(addr: SocketAddr) -> Outgoing {
    Outgoing {
        method: Method::Post,
        url: format!("https://{addr}/hook").parse().unwrap(),
        headers: vec![],
        body: "{}".into(),
    }
}

#[tokio::test]
async fn a_receiver_with_a_trusted_certificate_for_its_name_gets_the_request() {
    let authority = Authority::new();
    let (addr, task) = authority.receiver(ALLOWED, ALLOWED).await;
    client(authority.root()).send(outgoing(addr)).await.unwrap();
    assert!(task.await.unwrap().unwrap().starts_with("POST /hook HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_receiver_without_one_gets_nothing() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for (authority, name) in [(&other, ALLOWED), (&trusted, "127.0.0.3"), (&trusted, "hooks.example.com")] {
        let (addr, task) = authority.receiver(ALLOWED, name).await;
        let refused = client(trusted.root()).send(outgoing(addr)).await.unwrap_err();
        assert_eq!(refused, SendError::Certificate, "{name}");
        assert!(task.await.unwrap().is_err(), "{name}: a request arrived");
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_asked_over_tls_either() {
    let authority = Authority::new();
    let (addr, task) = authority.receiver("127.0.0.1", "127.0.0.1").await;
    assert_eq!(client(authority.root()).send(outgoing(addr)).await.unwrap_err(), SendError::Refused);
    assert!(!task.is_finished(), "somebody connected");
    task.abort();
}
