//! Shows the signed-in user.

use wrenn_domain::{action::Action, ids::TeamId, principal::Principal, user::User};

use crate::{Control, read_error::ReadError};

/// The reason for which the user is not shown.
#[derive(Debug, thiserror::Error)]
pub enum GetUserError {
    /// The use case did not begin, or the database failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The account is gone since the request was authenticated, or the principal is no user.
    #[error("the token is not valid")]
    Gone,
}

/// Returns the user behind the principal, and the team in which they act.
///
/// # Errors
/// See [`GetUserError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(User, TeamId), GetUserError> {
    let pass = control.enter(principal, Action::MeGet).await.map_err(ReadError::from)?;
    let user = principal.user().ok_or(GetUserError::Gone)?;
    let found = control.store().user_find_with_role(user, pass.team()).await.map_err(ReadError::from)?;
    let (user, _) = found.ok_or(GetUserError::Gone)?;
    Ok((user, pass.team()))
}
