//! Signs a user in with email and password.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use wrenn_domain::{action::Action, ids::TeamId, principal::Principal, user::User};
use wrenn_store::StoreError;

use crate::{Control, EnterError, account, auth::password::PasswordError};

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
    #[error("too many attempts; try again in {wait_sec} s")]
    TooMany {
        /// Time after which a new try makes sense, in seconds.
        wait_sec: u64,
    },
    /// The account was switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The user is in no team.
    #[error("the account belongs to no team")]
    NoTeam,
    /// The password could not be compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error("the account could not be looked up")]
    Store(#[from] StoreError),
}

/// Returns the user with this email and password, and the team in which they act, for a client at `address`.
///
/// # Errors
/// See [`LogInError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    email: &str,
    password: String,
) -> Result<(User, TeamId), LogInError> {
    let pass = control.enter(&Principal::Anonymous, Action::LogIn).await?;
    let email = email.trim();
    let now = Instant::now();
    let too_many = |wait: Duration| LogInError::TooMany { wait_sec: wait.as_secs() + 1 };
    let attempt = control.shared.login_throttle.begin(address, email, now).map_err(too_many)?;
    control.shared.hash_limit.take(address, now).map_err(too_many)?;
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
    attempt.succeeded();
    if !user.is_active {
        return Err(LogInError::AccountDisabled);
    }
    let team_id = store.team_default_of_user(user.id).await?.ok_or(LogInError::NoTeam)?;
    Ok((user, team_id))
}
