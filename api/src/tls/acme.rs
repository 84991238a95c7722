//! Certificates from an ACME directory, such as Let's Encrypt.
//!
//! ```text
//!   every minute: certificate of the database ─▶ certificates
//!                 is an order due, and ours? ──▶ order ─▶ directory validates each name (tls-alpn-01) ─▶ certificate
//!                                                  └─ failed: log, next try later
//! ```
//!
//! The database has the account, the certificate and the time of the next order, so that servers share one certificate, and
//! one of them at a time orders. The directory is never waited for by anybody but the order.

use std::{convert::Infallible, fmt, io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_acme::{AccountCache, AcmeConfig as OrderConfig, CertCache, EventError, EventOk};
use wrenn_base::{Backoff, Chain, Clock, Rng};
use wrenn_store::{Store, StoreError, acme::AcmeSubject};

use super::{
    certificates::{Certificates, Origin},
    pair::{Pair, PairError},
};

/// Directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Time limit for an order.
const ORDER_WITHIN: Duration = Duration::from_secs(5 * 60);
/// Time for which the right to order is taken, and extended while the order lasts: another server may go on this long after one
/// that has ended in between.
const LEASE: Duration = Duration::from_secs(60);
/// Longest pause between two failed orders. Directories limit failures per hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Names to have certificates for, and the directory that issues them.
#[derive(Debug, Clone)]
pub struct AcmeConfig {
    /// Names of the certificate; the first one is the dashboard's.
    names: Vec<String>,
    /// Mail address of the account.
    email: Option<String>,
    directory: String,
    /// PEM file with the root of the directory's own certificate, if the system does not know it.
    root: Option<PathBuf>,
    /// Pause between two looks at the database.
    pub look_every: Duration,
    /// Pause after the first failed order; it doubles with each further one.
    pub retry_after: Duration,
}

/// The reason for which a setting of ACME is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcmeConfigError {
    /// A name cannot have a certificate of this kind.
    #[error(
        "WRENN_ACME_NAMES: {0:?} is no DNS name like wrenn.example.com; for a wildcard, pass a certificate by WRENN_TLS_CERT"
    )]
    Name(String),
    /// The mail address is none.
    #[error("WRENN_ACME_EMAIL: {0:?} is no mail address like admin@example.com")]
    Email(String),
    /// The directory is not reached over TLS.
    #[error("WRENN_ACME_DIRECTORY: {0:?} must begin with https://")]
    Directory(String),
}

impl AcmeConfig {
    /// Checks the settings. Returns `None` if there are no names.
    pub fn new(
        names: &str,
        email: Option<&str>,
        directory: Option<&str>,
        root: Option<PathBuf>,
    ) -> Result<Option<Self>, AcmeConfigError> {
        let names = names.split(',').map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase());
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        if let Some(wrong) = names.iter().find(|name| !is_dns_name(name)) {
            return Err(AcmeConfigError::Name(wrong.clone()));
        }
        let email = email.filter(|email| !email.is_empty());
        if let Some(wrong) = email.filter(|email| !email.contains('@') || email.contains([',', ' ', ':'])) {
            return Err(AcmeConfigError::Email(wrong.to_owned()));
        }
        let directory = directory.filter(|directory| !directory.is_empty()).unwrap_or(LETS_ENCRYPT);
        if !directory.starts_with("https://") {
            return Err(AcmeConfigError::Directory(directory.to_owned()));
        }
        Ok(Some(Self {
            names,
            email: email.map(str::to_owned),
            directory: directory.to_owned(),
            root: root.filter(|root| !root.as_os_str().is_empty()),
            look_every: Duration::from_secs(60),
            retry_after: Duration::from_secs(60),
        }))
    }

    /// Returns the name of the dashboard.
    pub(crate) fn first_name(&self) -> &str {
        self.names.first().map_or("localhost", String::as_str)
    }

    fn subject(&self) -> AcmeSubject {
        AcmeSubject { directory: self.directory.clone(), names: self.names.join(",") }
    }

    fn contact(&self) -> Option<String> {
        self.email.as_ref().map(|email| format!("mailto:{email}"))
    }
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.parse::<std::net::IpAddr>().is_err() && name.split('.').all(is_label)
}

/// The reason for which ACME cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The file with the directory's root cannot be read.
    #[error("WRENN_ACME_ROOT: cannot read {}", path.display())]
    ReadRoot {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file with the directory's root has no certificate.
    #[error("WRENN_ACME_ROOT: {} has no certificate; expected PEM with `BEGIN CERTIFICATE`", path.display())]
    NoRoot {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses its configuration.
    #[error("cannot set TLS up")]
    Set(#[from] rustls::Error),
    /// No certificate of the server's own can be made.
    #[error("cannot make a self-signed certificate")]
    SelfSigned(#[from] rcgen::Error),
    /// The certificate of the server's own cannot be used.
    #[error("cannot use the self-signed certificate")]
    Pair(#[from] PairError),
}

/// The reason for which there is no certificate, or none yet.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the directory did not issue a certificate: {0}")]
    Directory(String),
    #[error("the order took too long")]
    Late,
    #[error("the certificate cannot be used")]
    Pair(#[from] PairError),
}

/// Orders certificates and keeps them up to date.
pub(super) struct Acme {
    config: AcmeConfig,
    client: Arc<ClientConfig>,
    certificates: Arc<Certificates>,
    store: Store,
    clock: Clock,
    rng: Rng,
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Returns the configuration of connections to the directory.
pub(super) fn directory_client(config: &AcmeConfig) -> Result<Arc<ClientConfig>, AcmeError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = &config.root {
        let pem = std::fs::read(path).map_err(|source| AcmeError::ReadRoot { path: path.clone(), source })?;
        let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(AcmeError::NoRoot { path: path.clone() });
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Returns a certificate of the server's own, for the time until the directory has issued one.
pub(super) fn self_signed(config: &AcmeConfig) -> Result<Pair, AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(config.names.clone())?;
    params.distinguished_name = DistinguishedName::new();
    let certificate = params.self_signed(&key)?;
    Ok(Pair::parse(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?)
}

impl Acme {
    pub(super) fn new(
        config: AcmeConfig,
        client: Arc<ClientConfig>,
        certificates: Arc<Certificates>,
        store: Store,
        clock: Clock,
        rng: Rng,
    ) -> Self {
        Self { config, client, certificates, store, clock, rng }
    }

    /// Takes a certificate over that another server has got, and orders one if that is due.
    pub(super) async fn look(&self) -> Result<(), StoreError> {
        let subject = self.config.subject();
        if let Some(pem) = self.store.acme_certificate(&subject).await? {
            self.take_over(&pem);
        }
        let Some(failures) = self.store.acme_order_begin(&subject, LEASE).await? else { return Ok(()) };
        let Err(error) = self.order(&subject).await else { return Ok(()) };
        let pauses = Backoff::new(self.config.retry_after, LONGEST_PAUSE);
        let next_in = pauses.delay(failures + 1, &mut self.rng.clone());
        tracing::error!(
            error = %Chain(&error), names = %subject.names, directory = %subject.directory,
            next_try_sec = next_in.as_secs(),
            "certificate order failed; check that the names lead to this server's port 443 and that it reaches the directory"
        );
        self.store.acme_order_failed(&subject, next_in).await
    }

    /// Puts a certificate of the database into use, unless one is in use that is valid for longer.
    fn take_over(&self, pem: &[u8]) {
        match Pair::parse(pem, pem) {
            Ok(pair) => {
                let used = self.certificates.get(Origin::Acme);
                if used.is_none_or(|used| used.not_after < pair.not_after) {
                    tracing::info!(names = ?pair.names, not_after = %pair.not_after, "certificate loaded");
                    self.certificates.set(Origin::Acme, pair);
                }
            }
            Err(error) => tracing::error!(error = %Chain(&error), "certificate in the database not usable"),
        }
    }

    async fn keep_right(&self, subject: &AcmeSubject) -> Infallible {
        loop {
            self.clock.sleep(LEASE / 3).await;
            if let Err(error) = self.store.acme_order_extend(subject, LEASE).await {
                tracing::warn!(error = %Chain(&error), "right to order a certificate not extended");
            }
        }
    }

    async fn order(&self, subject: &AcmeSubject) -> Result<(), OrderError> {
        tracing::info!(names = %subject.names, directory = %subject.directory, "ordering certificate");
        let issued = Issued::default();
        let cache = OrderCache {
            store: self.store.clone(),
            contact: self.config.contact().unwrap_or_default(),
            directory: subject.directory.clone(),
            issued: issued.clone(),
        };
        let mut order = OrderConfig::new_with_client_config(&self.config.names, self.client.clone())
            .contact(self.config.contact())
            .directory(&subject.directory)
            .cache(cache)
            .state();
        let _answers = Answers::begin(&self.certificates, order.resolver());
        let ends = async {
            loop {
                match order.next().await {
                    Some(Ok(EventOk::CertCacheStore)) => return Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(order_error(error)),
                    None => return Err(OrderError::Directory("the order ended".to_owned())),
                }
            }
        };
        tokio::select! {
            ended = self.clock.timeout(ORDER_WITHIN, ends) => ended.map_err(|_| OrderError::Late)??,
            never = self.keep_right(subject) => match never {},
        }
        let pem = issued.0.lock().take().unwrap_or_default();
        let pair = Pair::parse(&pem, &pem)?;
        let due_in = renewal_due_in(&pair, &self.clock);
        tracing::info!(names = ?pair.names, not_after = %pair.not_after, "certificate issued");
        self.certificates.set(Origin::Acme, pair);
        // The certificate is used even if it cannot be kept.
        Ok(self.store.acme_order_succeeded(subject, &pem, due_in).await?)
    }
}

/// Returns the time until a third of the certificate's lifetime is left.
fn renewal_due_in(pair: &Pair, clock: &Clock) -> Duration {
    let lifetime = pair.not_after - pair.not_before;
    (pair.not_after - lifetime / 3 - clock.utc()).to_std().unwrap_or_default()
}

fn order_error(error: EventError<StoreError, StoreError>) -> OrderError {
    match error {
        EventError::AccountCacheLoad(error)
        | EventError::AccountCacheStore(error)
        | EventError::CertCacheLoad(error)
        | EventError::CertCacheStore(error) => OrderError::Store(error),
        other => OrderError::Directory(other.to_string()),
    }
}

/// The answers to validations, for as long as an order lasts.
struct Answers<'a>(&'a Certificates);

impl<'a> Answers<'a> {
    fn begin(certificates: &'a Certificates, resolver: Arc<rustls_acme::ResolvesServerCertAcme>) -> Self {
        certificates.set_challenges(Some(resolver));
        Self(certificates)
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.0.set_challenges(None);
    }
}

/// The certificate that an order has led to.
#[derive(Clone, Default)]
struct Issued(Arc<Mutex<Option<Vec<u8>>>>);

/// Account and result of an order, as rustls-acme asks for them.
struct OrderCache {
    store: Store,
    contact: String,
    directory: String,
    issued: Issued,
}

#[async_trait]
impl CertCache for OrderCache {
    type EC = StoreError;

    /// There is never one: an order is made only if a new certificate is needed.
    async fn load_cert(&self, _: &[String], _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn store_cert(&self, _: &[String], _: &str, pem: &[u8]) -> Result<(), StoreError> {
        *self.issued.0.lock() = Some(pem.to_vec());
        Ok(())
    }
}

#[async_trait]
impl AccountCache for OrderCache {
    type EA = StoreError;

    async fn load_account(&self, _: &[String], _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.acme_account(&self.directory, &self.contact).await
    }

    async fn store_account(&self, _: &[String], _: &str, key: &[u8]) -> Result<(), StoreError> {
        self.store.acme_account_create(&self.directory, &self.contact, key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        let new = |names: &str, email: Option<&str>, directory: Option<&str>| {
            AcmeConfig::new(names, email, directory, None)
        };
        assert!(new(" , ", None, None).unwrap().is_none());
        let config =
            new("Wrenn.example.com., api.example.com", Some("a@example.com"), None).unwrap().unwrap();
        assert_eq!(config.first_name(), "wrenn.example.com");
        assert_eq!(config.subject().names, "wrenn.example.com,api.example.com");
        assert_eq!(config.subject().directory, LETS_ENCRYPT);
        for name in ["*.example.com", "10.0.0.1", "a b", "a..b", "-a.test", "https://a.test", "a_b.test"] {
            let error = new(name, None, None).unwrap_err();
            assert_eq!(error, AcmeConfigError::Name(name.to_owned()));
            assert!(error.to_string().contains("WRENN_TLS_CERT"), "{error}");
        }
        assert!(matches!(new("a.test", Some("nobody"), None), Err(AcmeConfigError::Email(_))));
        assert!(matches!(new("a.test", None, Some("http://x")), Err(AcmeConfigError::Directory(_))));
    }

    #[test]
    fn a_certificate_of_our_own_has_all_names() {
        let config = AcmeConfig::new("a.test,b.test", None, None, None).unwrap().unwrap();
        assert_eq!(self_signed(&config).unwrap().names, ["a.test", "b.test"]);
    }

    #[test]
    fn a_root_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        let config = AcmeConfig::new("a.test", None, None, Some(root.clone())).unwrap().unwrap();
        assert!(matches!(directory_client(&config), Err(AcmeError::ReadRoot { .. })));
        std::fs::write(&root, "nonsense").unwrap();
        assert!(matches!(directory_client(&config), Err(AcmeError::NoRoot { .. })));
    }
}
