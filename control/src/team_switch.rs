//! Switches a signed-in user to another of their teams.

use wrenn_domain::{action::Action, admission::EnterError, ids::TeamId, principal::Principal, user::User};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a user acts for the same team as before.
#[derive(Debug, thiserror::Error)]
pub enum SwitchTeamError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The user is not a member of the team, or there is none.
    #[error("team_id: there is no team {0}")]
    NotFound(TeamId),
    /// The database failed.
    #[error("the team could not be looked up")]
    Store(#[from] StoreError),
}

/// Returns the account as the database has it now, with the epoch of the request's token, if the user is a member of
/// `team`: a new token lives no longer than the one by which it was made.
///
/// # Errors
/// See [`SwitchTeamError`].
pub async fn run(control: &Control, principal: &Principal, team: TeamId) -> Result<User, SwitchTeamError> {
    let _pass = control.enter(principal, Action::TeamSwitch).await?;
    let Principal::User { id, epoch, .. } = *principal else { return Err(SwitchTeamError::NotFound(team)) };
    match control.store().user_find_with_role(id, Some(team)).await? {
        Some((user, Some(_))) => Ok(User { token_epoch: epoch, ..user }),
        _ => Err(SwitchTeamError::NotFound(team)),
    }
}
