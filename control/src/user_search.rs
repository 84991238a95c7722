//! Searches for users by the beginning of their address, for members who may add them to their team.

use wrenn_domain::{
    action::Action, admission::EnterError, limits, permission::Denial, principal::Principal, user::FoundUser,
};
use wrenn_store::StoreError;

use crate::{Control, auth::rate_limit::TooMany};

/// Characters of a prefix at least: a shorter one would list the platform's users.
pub const MIN_PREFIX_CHARACTERS: usize = 3;
/// Users that a search returns at most.
pub const MAX_FOUND: u32 = 10;

/// The reason for which nothing was searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchUsersError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The prefix is too short, too long, or has characters that no address has.
    #[error(
        "email: must have {MIN_PREFIX_CHARACTERS} characters at least, {} bytes at most, and no control characters",
        limits::MAX_EMAIL_BYTES
    )]
    Prefix,
    /// The user has searched too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The database failed.
    #[error("the users could not be read")]
    Store(#[from] StoreError),
}

/// Returns the active users whose proved address begins with `prefix`, in whatever case.
///
/// # Errors
/// See [`SearchUsersError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    prefix: &str,
) -> Result<Vec<FoundUser>, SearchUsersError> {
    let _pass = control.enter(principal, Action::UserSearch).await?;
    let user = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let prefix = prefix.trim();
    let is_long_enough = prefix.chars().count() >= MIN_PREFIX_CHARACTERS;
    if !is_long_enough || prefix.len() > limits::MAX_EMAIL_BYTES || prefix.chars().any(char::is_control) {
        return Err(SearchUsersError::Prefix);
    }
    control.shared.rate_limits.searches.take(user)?;
    Ok(control.store().users_by_email_prefix(prefix, MAX_FOUND).await?)
}
