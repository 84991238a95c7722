//! Registers a host: a one-time token becomes its certificate, with which it can attach, or the tokens of older clients, which
//! are good for a heartbeat.

use std::net::IpAddr;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    host::{Host, HostCapacity},
    limits::{self, LimitError},
    principal::Principal,
};
use wrenn_pki::CertificateError;
use wrenn_store::{
    StoreError,
    host_tokens::{HostFacts, TokenHash},
};

use crate::{
    Control,
    agent_authority::HostCertificate,
    auth::{
        host_credentials::HostCredentials,
        rate_limit::{TooMany, network},
        registration_token,
    },
};

/// The reason for which a host is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterHostError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The network of the host has tried too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A fact about the host is not possible.
    #[error(transparent)]
    Fact(#[from] LimitError),
    /// The token was never issued, was used, or has expired.
    #[error("the registration token is not valid, was used, or is over an hour old")]
    Token,
    /// The key of the host was not certified.
    #[error("public_key: {0}")]
    Key(#[source] CertificateError),
    /// The database failed.
    #[error("the host could not be registered")]
    Store(#[from] StoreError),
}

/// A host that registers.
#[derive(Debug)]
pub struct Registration {
    /// Its registration token.
    pub token: String,
    /// Resources that it offers.
    pub capacity: HostCapacity,
    /// Its processors' architecture.
    pub arch: String,
    /// Its address, for people.
    pub address: String,
}

/// Checks facts that the database could not hold.
fn check(registration: &Registration) -> Result<(), LimitError> {
    let HostCapacity { cpu_cores, memory_mb, disk_mb } = registration.capacity;
    let too_large = |field| LimitError { field, wrong: "is larger than any machine".to_owned() };
    i32::try_from(cpu_cores).map_err(|_| too_large("cpu_cores"))?;
    i64::try_from(memory_mb).map_err(|_| too_large("memory_mb"))?;
    i64::try_from(disk_mb).map_err(|_| too_large("disk"))?;
    limits::check_host_fact("arch", &registration.arch)?;
    limits::check_host_fact("address", &registration.address)
}

/// Begins a registration: permission, the limit of the network, and the facts.
async fn begin(
    control: &Control,
    address: Option<IpAddr>,
    registration: Registration,
) -> Result<(TokenHash, HostFacts), RegisterHostError> {
    let _pass = control.enter(&Principal::Anonymous, Action::HostRegister).await?;
    if let Some(network) = network(address) {
        control.shared.rate_limits.hosts.take(network)?;
    }
    check(&registration)?;
    let token = registration_token::hash(&registration.token);
    let Registration { capacity, arch, address, .. } = registration;
    Ok((token, HostFacts { capacity, arch, address }))
}

/// Redeems a registration token; returns the host and its tokens, which are nowhere else. All earlier credentials of the
/// host are void. `address` is that of the client, if it has one.
///
/// # Errors
/// See [`RegisterHostError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    registration: Registration,
) -> Result<(Host, HostCredentials), RegisterHostError> {
    let (token, facts) = begin(control, address, registration).await?;
    let credentials = HostCredentials::generate(control.rng());
    let host = control.store().host_register(&token, &credentials.hashes(), &facts).await?;
    let host = host.ok_or(RegisterHostError::Token)?;
    // A host that was deleted a moment ago is not registered.
    let host = control.store().host_fetch(host).await?.ok_or(RegisterHostError::Token)?;
    tracing::info!(host = %host.id, arch = facts.arch, "host registered");
    Ok((host, credentials))
}

/// Redeems a registration token for a certificate of the host's key. All earlier credentials of the host are void; a key that
/// is not certified costs no token.
///
/// # Errors
/// See [`RegisterHostError`].
pub async fn run_certified(
    control: &Control,
    address: Option<IpAddr>,
    registration: Registration,
    public_key: &[u8],
) -> Result<HostCertificate, RegisterHostError> {
    let (token, facts) = begin(control, address, registration).await?;
    let host = control.store().host_of_registration(&token).await?.ok_or(RegisterHostError::Token)?;
    let certificate = control.certify(host, public_key).map_err(RegisterHostError::Key)?;
    let registered =
        control.store().host_register_certified(&token, host, &certificate.stored(), &facts).await?;
    if !registered {
        return Err(RegisterHostError::Token);
    }
    tracing::info!(%host, arch = facts.arch, "host registered");
    Ok(certificate)
}
