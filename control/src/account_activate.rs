//! Proves an account's address by its link, and signs the user in.

use std::net::IpAddr;

use wrenn_domain::{action::Action, admission::EnterError, ids::TeamId, principal::Principal, user::User};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        rate_limit::{TooMany, network},
        secret,
    },
};

/// The reason for which the address is not proved.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such link, or it was used, or is too old.
    #[error("token: the link is not valid or was used before; sign in to be sent a new one")]
    Link,
    /// The network has opened too many links.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The account has a second factor, which a link does not replace.
    #[error("the address is confirmed; sign in with your password and the code of your second factor")]
    TotpRequired,
    /// The database failed.
    #[error("the link could not be looked up")]
    Store(#[from] StoreError),
}

/// Uses up an activation link; returns its user and the team for which they act.
///
/// # Errors
/// See [`ActivateError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    token: &str,
) -> Result<(User, Option<TeamId>), ActivateError> {
    control.shared.rate_limits.links.take(network(address))?;
    let pass = control.enter(&Principal::Anonymous, Action::Activate).await?;
    let store = control.store();
    // A wrong token is no change that was refused: nobody knows whose it is.
    let id = store.user_activate(&secret::hash(token), &pass.intent()).await?.ok_or(ActivateError::Link)?;
    tracing::info!(user_id = %id, "email address confirmed");
    let (user, _) = store.user_find_with_role(id, None).await?.ok_or(ActivateError::Link)?;
    if !user.is_active {
        return Err(ActivateError::AccountDisabled);
    }
    if user.has_totp {
        return Err(ActivateError::TotpRequired);
    }
    let team = store.team_default_of_user(id).await?;
    Ok((user, team))
}
