//! Disconnects an identity provider from the account of the signed-in user.

use wrenn_domain::{action::Action, admission::EnterError, limits, permission::Denial, principal::Principal};
use wrenn_store::{StoreError, identities::Unlinked};

use crate::Control;

/// The reason for which a provider is still connected, or never was.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The provider is not connected to the account.
    #[error("provider: `{0}` is not connected to your account")]
    NotConnected(String),
    /// The user could not sign in any more.
    #[error("provider: `{0}` is your only way to sign in; set a password first")]
    OnlyWay(String),
    /// The database failed.
    #[error("the provider could not be disconnected")]
    Store(#[from] StoreError),
}

/// Disconnects a provider.
///
/// # Errors
/// See [`DisconnectError`].
pub async fn run(control: &Control, principal: &Principal, provider: &str) -> Result<(), DisconnectError> {
    let pass = control.enter(principal, Action::ProviderDisconnect).await?;
    let user = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let shown = limits::echo(provider);
    let intent = pass.intent().of(user).with("provider", &shown);
    let unlinked = match control.store().identity_unlink(user, provider, &intent).await {
        Ok(Unlinked::Done) => Ok(()),
        Ok(Unlinked::NotLinked) => Err(DisconnectError::NotConnected(shown)),
        Ok(Unlinked::OnlyWay) => Err(DisconnectError::OnlyWay(shown)),
        Err(error) => Err(error.into()),
    };
    control.audited(intent, unlinked).await
}
