//! Certificates for a test's server, and clients that trust them.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use wrenn_api::{TlsConfig, tls::PairFiles};

/// A client configuration without any roots, for requests over plain HTTP.
pub(crate) fn no_roots() -> ClientConfig {
    client_config(RootCertStore::empty())
}

pub(crate) fn client_config(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Each connection has a whole handshake, with the certificate.
    config.resumption = Resumption::disabled();
    config
}

/// An authority that clients of the test trust.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pair(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    pub(crate) fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// Returns the configuration of a client that trusts this authority alone.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        client_config(roots)
    }
}

/// The files of a pair.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new(pair: &Pair) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a folder") };
        files.write_chain(&pair.chain);
        files.write_key(&pair.key);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.path("fullchain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path("privkey.pem")
    }

    pub(crate) fn write_chain(&self, text: &str) {
        fs::write(self.chain(), text).expect("the file can be written");
    }

    pub(crate) fn write_key(&self, text: &str) {
        fs::write(self.key(), text).expect("the file can be written");
    }

    /// Replaces a file at once, as certbot does.
    pub(crate) fn rename_chain(&self, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).expect("the file can be written");
        fs::rename(new, self.chain()).expect("it can be moved");
    }
}

/// The configuration for pairs of files, which are looked at all the time.
pub(crate) fn config(files: &[&Files]) -> TlsConfig {
    let list = |path: fn(&Files) -> PathBuf| {
        files.iter().map(|files| path(files).display().to_string()).collect::<Vec<_>>().join(",")
    };
    let files = PairFiles::list(Some(&list(Files::chain)), Some(&list(Files::key))).expect("both lists");
    TlsConfig { files, look_every: std::time::Duration::from_millis(10), ..TlsConfig::default() }
}

/// Connects, asking for a name.
pub(crate) async fn connect(
    addr: std::net::SocketAddr,
    name: &str,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await
}

/// Returns the certificate of the other side.
pub(crate) fn certificate_of(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("the server has a certificate");
    chain[0].clone().into_owned()
}

/// Returns the configuration of a client that takes every certificate, to see what a server shows.
pub(crate) fn unchecked() -> ClientConfig {
    let mut config = no_roots();
    wrenn_pki::accept_every_certificate(&mut config);
    config
}
