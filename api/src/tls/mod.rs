//! TLS for REST, dashboard and previews.
//!
//! ```text
//!   WRENN_TLS_CERT, _KEY ─▶ files ─┐                        ┌─ name asked for (SNI): exact, wildcard, first
//!   WRENN_ACME_NAMES ─────▶ acme ──┼─▶ certificates ◀───────┤
//!   until there is one ─ self-signed┘                       └─ validation by the directory (acme-tls/1)
//! ```
//!
//! Connections keep the certificate with which they began; new ones get what is there at that moment.
//!
//! Only HTTP/1.1 is offered. In HTTP/2, actix runs handlers to their end although the client has left, and a command would
//! go on that nobody waits for; requests carry no `Host`, by which previews are told apart; and browsers would need another
//! kind of WebSocket, which actix does not have.

mod acme;
mod certificates;
mod files;
mod pair;
pub(crate) mod redirect;
#[cfg(test)]
mod test_pairs;

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, ServerConfig, crypto::ring, server::ClientHello};
use wrenn_base::{Clock, Rng, blocking};
use wrenn_store::Store;
use wrenn_supervision::{ChildHandle, ChildSpec, FirstLook, Periodic, Root, spawn_local};

use self::{
    acme::Acme,
    certificates::{Certificates, Origin},
    files::WatchedFiles,
};
pub use self::{
    acme::{AcmeConfig, AcmeConfigError, AcmeError, LETS_ENCRYPT},
    files::{FileError, PairFiles, PairFilesError},
    pair::PairError,
};

/// Protocol of the connections by which an ACME directory validates a name.
const VALIDATION: &[u8] = b"acme-tls/1";

/// Origin of the certificates, and how they are kept up to date.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Pairs of files. The first one is for clients that ask for no name, or for one that no pair has.
    pub files: Vec<PairFiles>,
    /// Names to have certificates for from an ACME directory.
    pub acme: Option<AcmeConfig>,
    /// Pause between two looks at the files.
    pub look_every: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { files: Vec::new(), acme: None, look_every: Duration::from_secs(1) }
    }
}

/// The reason for which there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A configured pair cannot be used.
    #[error("cannot use the certificates of WRENN_TLS_CERT and WRENN_TLS_KEY")]
    Files(#[from] FileError),
    /// ACME cannot be used.
    #[error("cannot have certificates from an ACME directory")]
    Acme(#[from] AcmeError),
    /// The TLS library refuses its configuration.
    #[error("cannot set TLS up")]
    Set(#[from] rustls::Error),
}

/// The certificates of a server, and what keeps them up to date.
pub(crate) struct Tls {
    certificates: Arc<Certificates>,
    files: Arc<WatchedFiles>,
    acme: Option<(AcmeConfig, Arc<ClientConfig>)>,
    look_every: Duration,
}

impl Tls {
    /// Reads the configured pairs. Nothing is asked of an ACME directory.
    pub(crate) fn load(config: TlsConfig, clock: &Clock) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::default());
        let files = WatchedFiles::load(config.files, certificates.clone(), clock.clone())?;
        let acme = match config.acme {
            None => None,
            Some(acme) => {
                let client = acme::directory_client(&acme)?;
                certificates.set(Origin::SelfSigned, acme::self_signed(&acme)?);
                Some((acme, client))
            }
        };
        Ok(Self { certificates, files: Arc::new(files), acme, look_every: config.look_every })
    }

    /// Returns the configuration for incoming connections.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(self.certificates.clone());
        // actix adds HTTP/1.1 in front.
        if self.acme.is_some() {
            config.alpn_protocols.push(VALIDATION.to_vec());
        }
        Ok(config)
    }

    /// Starts what keeps the certificates up to date. Must be called on an actix system.
    pub(crate) fn watch(self, store: &Store, clock: &Clock, rng: &Rng, root: &Root) -> Vec<ChildHandle> {
        let spawn = |name: &'static str, periodic: Periodic| {
            let spec = ChildSpec::new(name, name, clock.clone(), rng.clone());
            spawn_local(root.adopt(spec), move |_| periodic).handle()
        };
        let files = self.files;
        let look = move || {
            let files = files.clone();
            blocking(move || {
                files.look();
                io::Result::Ok(())
            })
        };
        let files = Periodic::new("tls_files", clock.clone(), FirstLook::AfterPeriod, self.look_every, look);
        let mut watches = vec![spawn("tls_files", files)];
        if let Some((config, client)) = self.acme {
            let every = config.look_every;
            let (store, clock_of_acme, rng) = (store.clone(), clock.clone(), rng.clone());
            let acme = Acme::new(config, client, self.certificates, store, clock_of_acme, rng);
            let acme = Arc::new(acme);
            let look = move || {
                let acme = acme.clone();
                async move { acme.look().await }
            };
            let acme = Periodic::new("tls_acme", clock.clone(), FirstLook::AtOnce, every, look);
            watches.push(spawn("tls_acme", acme));
        }
        watches
    }
}

/// Returns true for a connection by which an ACME directory validates a name.
fn is_validation(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut protocols| protocols.next() == Some(VALIDATION) && protocols.next().is_none())
}
