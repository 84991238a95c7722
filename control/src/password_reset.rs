//! Replaces a password by a link.

use std::net::IpAddr;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    limits::{self, LimitError},
    principal::Principal,
    user::LinkKind,
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        password::PasswordError,
        rate_limit::{TooMany, network},
        secret,
    },
};

/// The reason for which the password is the same as before.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The new password is too short or too long.
    #[error("new_{0}")]
    Limit(#[from] LimitError),
    /// There is no such link, or it was used or replaced, or is too old.
    #[error("token: the link is not valid or was used before; ask for a new one")]
    Link,
    /// The network has opened too many links.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error("the password could not be changed")]
    Store(#[from] StoreError),
}

/// Uses up a link: replaces the password of its account, and ends all tokens of the account.
///
/// # Errors
/// See [`ResetPasswordError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    token: &str,
    new_password: String,
) -> Result<(), ResetPasswordError> {
    let limits = &control.shared.rate_limits;
    limits.links.take(network(address))?;
    let pass = control.enter(&Principal::Anonymous, Action::PasswordReset).await?;
    limits::check_password(&new_password)?;
    let hash = secret::hash(token);
    // Before the password is hashed: a wrong link shall cost no processor.
    if !control.store().user_link_is_valid(LinkKind::PasswordReset, &hash).await? {
        return Err(ResetPasswordError::Link);
    }
    let intent = pass.intent();
    // Hashing takes a second of a processor and nothing of the database.
    drop(pass);
    limits.hashes.take(network(address))?;
    let password_hash = control.shared.passwords.hash(new_password).await?;
    let user = control.store().user_reset_password(&hash, &password_hash, &intent).await?;
    let user = user.ok_or(ResetPasswordError::Link)?;
    tracing::info!(user_id = %user, "password replaced by a link");
    Ok(())
}
