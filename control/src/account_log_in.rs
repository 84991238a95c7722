//! Signs a user in with email and password.

use std::net::IpAddr;

use wrenn_domain::{action::Action, admission::EnterError, ids::TeamId, principal::Principal, user::User};
use wrenn_store::StoreError;

use crate::{
    Control, account,
    auth::{
        password::PasswordError,
        rate_limit::{TooMany, network},
        second_factor::{self, CodeError},
    },
};

/// The reason for which a user is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// Says the same for an unknown address and a wrong password.
    #[error("the email address or the password is wrong")]
    Wrong,
    /// The address has tried too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The password is right, and the account has a second factor.
    #[error("totp_code: is needed, because the account has a second factor")]
    TotpRequired,
    /// The code of the second factor was not accepted.
    #[error("totp_code: {0}")]
    Code(#[from] CodeError),
    /// The password could not be compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error("the account could not be looked up")]
    Store(#[from] StoreError),
}

/// Credentials of a user.
pub struct LogIn {
    /// Address of the account, in whatever case.
    pub email: String,
    /// Its password.
    pub password: String,
    /// Code of its second factor, or a recovery code.
    pub totp_code: Option<String>,
}

/// Returns the user with these credentials, and the team for which they act if they have one, for a client at `address`.
///
/// # Errors
/// See [`LogInError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    LogIn { email, password, totp_code }: LogIn,
) -> Result<(User, Option<TeamId>), LogInError> {
    let pass = control.enter(&Principal::Anonymous, Action::LogIn).await?;
    let email = email.trim();
    let now = control.clock().now();
    let attempt = control.shared.login_throttle.begin(address, email, now)?;
    control.shared.rate_limits.hashes.take(network(address))?;
    let store = control.store();
    // A text that cannot be an address is not looked up, but takes as long.
    let found = if account::is_email(email) { store.user_find_by_email(email).await? } else { None };
    let (user, password_hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    // Hashing takes a second of a processor and nothing of the database.
    drop(pass);
    let matches = control.shared.passwords.verify(password, password_hash).await?;
    let Some(user) = user.filter(|_| matches) else {
        attempt.failed();
        return Err(LogInError::Wrong);
    };
    if user.is_active && user.has_totp {
        let code = totp_code.ok_or(LogInError::TotpRequired)?;
        // The second factor may have been removed meanwhile: then the next attempt takes none.
        let factor = store.totp_find(user.id).await?.filter(|factor| factor.is_enabled);
        let factor = factor.ok_or(CodeError::Wrong)?;
        if let Err(error) = second_factor::use_code(control, user.id, &factor, &code).await {
            if matches!(error, CodeError::Wrong) {
                attempt.failed();
            }
            return Err(error.into());
        }
    }
    attempt.succeeded();
    if !user.is_active {
        return Err(LogInError::AccountDisabled);
    }
    let team_id = store.team_default_of_user(user.id).await?;
    Ok((user, team_id))
}
