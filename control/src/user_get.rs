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

/// A signed-in user.
pub struct Me {
    /// The account.
    pub user: User,
    /// The team for which they act.
    pub team: Option<TeamId>,
    /// Identity providers by which they can sign in.
    pub providers: Vec<String>,
    /// True if their address counts as proved.
    pub is_verified: bool,
}

/// Returns the user behind the principal.
///
/// # Errors
/// See [`GetUserError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Me, GetUserError> {
    let _pass = control.enter(principal, Action::MeGet).await.map_err(ReadError::from)?;
    let user = principal.user().ok_or(GetUserError::Gone)?;
    let found = control.store().user_find_with_role(user, principal.team()).await.map_err(ReadError::from)?;
    let (user, _) = found.ok_or(GetUserError::Gone)?;
    let providers = control.store().user_providers(user.id).await.map_err(ReadError::from)?;
    Ok(Me { is_verified: control.is_verified(&user), user, team: principal.team(), providers })
}
