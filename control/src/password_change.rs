//! Changes the signed-in user's password, or sets the first one.

use std::net::IpAddr;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        password::PasswordError,
        rate_limit::{TooMany, network},
    },
};

/// The reason for which the password is the same as before.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The new password is too short or too long.
    #[error("new_{0}")]
    Limit(#[from] LimitError),
    /// The new password was typed in two ways.
    #[error("confirm_password: is not the same as new_password")]
    Confirmation,
    /// The account has a password, which was not given.
    #[error("current_password: is needed, because the account has a password")]
    CurrentMissing,
    /// The current password is wrong.
    #[error("current_password: is wrong")]
    Wrong,
    /// The account was changed at the same time.
    #[error("the password was changed at the same time; try again")]
    Raced,
    /// Too many passwords were tried.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A password could not be compared or hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The account is gone since the request was authenticated.
    #[error("the token is not valid")]
    Gone,
    /// The database failed.
    #[error("the password could not be changed")]
    Store(#[from] StoreError),
}

/// A new password.
pub struct ChangePassword {
    /// The password that the account has.
    pub current: Option<String>,
    /// The password that it shall have.
    pub new: String,
    /// The new password once more, for forms that ask twice.
    pub confirmation: Option<String>,
}

/// Replaces the password of the user behind the principal, and ends all tokens of the account.
///
/// # Errors
/// See [`ChangePasswordError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    address: Option<IpAddr>,
    change: ChangePassword,
) -> Result<(), ChangePasswordError> {
    let pass = control.enter(principal, Action::PasswordChange).await?;
    let id = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(id);
    // Hashing takes a second of a processor and nothing of the database.
    drop(pass);
    let changed = async {
        let ChangePassword { current, new, confirmation } = change;
        limits::check_password(&new)?;
        if confirmation.is_some_and(|confirmation| confirmation != new) {
            return Err(ChangePasswordError::Confirmation);
        }
        let found = control.store().user_find_with_password(id).await?;
        let (user, former) = found.ok_or(ChangePasswordError::Gone)?;
        control.shared.rate_limits.hashes.take(network(address))?;
        if former.is_some() {
            let current = current.ok_or(ChangePasswordError::CurrentMissing)?;
            let now = control.clock().now();
            let attempt = control.shared.login_throttle.begin(address, &user.email, now)?;
            if !attempt.verify(&control.shared.passwords, current, former.clone()).await? {
                return Err(ChangePasswordError::Wrong);
            }
        }
        let hash = control.shared.passwords.hash(new).await?;
        if !control.store().user_change_password(id, former.as_deref(), &hash, &intent).await? {
            return Err(ChangePasswordError::Raced);
        }
        Ok(())
    };
    control.audited(intent.clone(), changed.await).await?;
    tracing::info!(user_id = %id, "password changed");
    Ok(())
}
