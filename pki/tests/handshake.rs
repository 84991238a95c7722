//! The ends of the link, and whom each of them trusts.

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::{
    io,
    time::{Duration, SystemTime},
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use wrenn_domain::ids::HostId;
use wrenn_pki::{Authority, ClientTls, Fingerprint, HostIdentity, HostKey, Peer, ServerTls};

#[expect(clippy::disallowed_methods, reason = "certificates are checked by the system's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

const HOUR: Duration = Duration::from_secs(3600);

fn authority() -> Authority {
    Authority::from_parts(&Authority::generate(now()).unwrap()).unwrap()
}

/// Key and certificate of a host.
struct Host {
    id: HostId,
    key: HostKey,
    certificate: Vec<u8>,
}

impl Host {
    fn certified_by(authority: &Authority, at: SystemTime, valid_for: Duration) -> Self {
        let (id, key) = (HostId::new(), HostKey::generate().unwrap());
        let certificate = authority.certify_host(id, &key.public_key(), at, valid_for).unwrap();
        Self { id, key, certificate }
    }

    fn client(&self, trusted: Fingerprint) -> ClientTls {
        let private_key = self.key.private_key();
        let identity = HostIdentity { certificate: &self.certificate, private_key: &private_key };
        ClientTls::new(trusted, Some(identity)).unwrap()
    }
}

/// A handshake and one byte in each direction, as a client learns only by the first read that it was refused.
async fn talk(server: &ServerTls, client: &ClientTls) -> (io::Result<Peer>, io::Result<()>) {
    let (near, far): (DuplexStream, DuplexStream) = duplex(64 * 1024);
    let served = async {
        let (mut stream, peer) = server.accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        Ok(peer)
    };
    let asked = async {
        let mut stream = client.connect(near).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        stream.read_u8().await.map(drop)
    };
    tokio::join!(served, asked)
}

#[tokio::test]
async fn a_host_is_known_by_its_certificate_and_a_new_one_by_none() {
    let authority = authority();
    let server = ServerTls::new(&authority, now()).unwrap();
    let host = Host::certified_by(&authority, now(), HOUR);
    let (peer, asked) = talk(&server, &host.client(authority.fingerprint())).await;
    asked.unwrap();
    let certificate = Fingerprint::of(&host.certificate);
    assert_eq!(peer.unwrap(), Peer::Host { host: host.id, certificate });

    let (peer, asked) = talk(&server, &ClientTls::new(authority.fingerprint(), None).unwrap()).await;
    asked.unwrap();
    assert_eq!(peer.unwrap(), Peer::Unknown);
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (ours, other) = (authority(), authority());
    let server = ServerTls::new(&other, now()).unwrap();
    let (_, asked) = talk(&server, &ClientTls::new(ours.fingerprint(), None).unwrap()).await;
    let error = asked.unwrap_err().to_string();
    assert!(error.contains("authority that the token names"), "{error}");
}

#[tokio::test]
async fn certificates_of_another_authority_or_of_another_time_are_refused() {
    let (ours, other) = (authority(), authority());
    let server = ServerTls::new(&ours, now()).unwrap();
    let past = now() - 48 * HOUR;
    for host in [
        Host::certified_by(&other, now(), HOUR),
        Host::certified_by(&ours, past, HOUR),
        Host::certified_by(&ours, now() + 48 * HOUR, HOUR),
    ] {
        let (peer, asked) = talk(&server, &host.client(ours.fingerprint())).await;
        assert!(peer.is_err(), "{peer:?}");
        assert!(asked.is_err());
    }
}

#[tokio::test]
async fn a_certificate_is_of_no_use_without_its_key() {
    let authority = authority();
    let server = ServerTls::new(&authority, now()).unwrap();
    let victim = Host::certified_by(&authority, now(), HOUR);
    let stolen = Host { id: victim.id, key: HostKey::generate().unwrap(), certificate: victim.certificate };
    let private_key = stolen.key.private_key();
    let identity = HostIdentity { certificate: &stolen.certificate, private_key: &private_key };
    // rustls compares both ends of the pair; a client that does not is refused by the server.
    match ClientTls::new(authority.fingerprint(), Some(identity)) {
        Err(_) => {}
        Ok(client) => assert!(talk(&server, &client).await.0.is_err()),
    }
}

#[tokio::test]
async fn a_host_cannot_pose_as_a_server() {
    let authority = authority();
    let host = Host::certified_by(&authority, now(), HOUR);
    let parts = Authority::generate(now()).unwrap();
    let mut config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![host.certificate.clone().into(), parts.certificate.into()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(host.key.private_key()).into(),
            )
            .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let (near, far) = duplex(64 * 1024);
    let client = ClientTls::new(authority.fingerprint(), None).unwrap();
    let (_, asked) = tokio::join!(acceptor.accept(far), client.connect(near));
    assert!(asked.is_err());
}
