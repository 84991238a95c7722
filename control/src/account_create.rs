//! Signs a person up: an account and its first team.

use std::{net::IpAddr, time::Instant};

use wrenn_domain::{action::Action, ids::TeamId, principal::Principal, user::User};

use crate::{
    Control, EnterError,
    account::{self, AccountError},
};

/// The reason for which a person was not signed up.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The address has asked for too many passwords to be hashed.
    #[error("too many attempts; try again in {wait_sec} s")]
    TooMany {
        /// Time after which a new try makes sense, in seconds.
        wait_sec: u64,
    },
    /// The account was not made.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// A person who wants an account.
pub struct SignUp {
    /// Address to sign in with.
    pub email: String,
    /// Password to sign in with.
    pub password: String,
    /// Name for people.
    pub name: String,
}

/// Makes an account and its first team, for a client at `address`.
///
/// # Errors
/// See [`SignUpError`].
pub async fn run(
    control: &Control,
    address: Option<IpAddr>,
    SignUp { email, password, name }: SignUp,
) -> Result<(User, TeamId), SignUpError> {
    let wait = control.shared.hash_limit.take(address, Instant::now());
    wait.map_err(|wait| SignUpError::TooMany { wait_sec: wait.as_secs() + 1 })?;
    // Before a place is taken: hashing would keep others from it.
    let account = account::prepare(&control.shared.passwords, &email, password, &name).await?;
    let pass = control.enter(&Principal::Anonymous, Action::SignUp).await?;
    let intent = pass.intent();
    let created = control.store().account_create(account, &intent).await.map_err(AccountError::from);
    let (user, team_id) = control.audited(intent, created).await?;
    tracing::info!(user_id = %user.id, %team_id, is_admin = user.is_admin, "account created");
    Ok((user, team_id))
}
