//! Renews the tokens of a host, which older clients have.

use std::net::IpAddr;

use wrenn_domain::{action::Action, admission::EnterError, host::Host, principal::Principal};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        host_credentials::HostCredentials,
        rate_limit::{TooMany, network},
        secret,
    },
};

/// The reason for which credentials are not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshHostError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The network of the host has tried too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The token was never issued, was used a while ago, or has expired.
    #[error("the refresh token is not valid, or no longer")]
    Token,
    /// The database failed.
    #[error("the credentials could not be renewed")]
    Store(#[from] StoreError),
}

/// Redeems a refresh token; returns the host and its new credentials, which are nowhere else.
///
/// # Errors
/// See [`RefreshHostError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    refresh_token: &str,
) -> Result<(Host, HostCredentials), RefreshHostError> {
    let _pass = control.enter(&Principal::Anonymous, Action::HostRefresh).await?;
    if let Some(network) = network(address) {
        control.shared.rate_limits.hosts.take(network)?;
    }
    let credentials = HostCredentials::generate(control.rng());
    let host = control.store().host_refresh(&secret::hash(refresh_token), &credentials.hashes()).await?;
    let host = host.ok_or(RefreshHostError::Token)?;
    let host = control.store().host_fetch(host).await?.ok_or(RefreshHostError::Token)?;
    tracing::info!(host = %host.id, "host renewed its credentials");
    Ok((host, credentials))
}
