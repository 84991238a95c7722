//! Shows a team and its members.

use wrenn_domain::{
    action::Action,
    principal::Principal,
    team::{Team, TeamMember},
};

use crate::{Control, read_error::ReadError};

/// The reason for which a team is not shown.
#[derive(Debug, thiserror::Error)]
pub enum GetTeamError {
    /// The use case did not begin, or the database failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The team was deleted since the request was authenticated.
    #[error("there is no such team")]
    Gone,
}

/// Returns the principal's team with its members: owner, admins, members.
///
/// # Errors
/// See [`GetTeamError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(Team, Vec<TeamMember>), GetTeamError> {
    let pass = control.enter(principal, Action::TeamGet).await.map_err(ReadError::from)?;
    let team = control.store().team_find(pass.team()).await.map_err(ReadError::from)?;
    let team = team.ok_or(GetTeamError::Gone)?;
    let members = control.store().team_members(team.id).await.map_err(ReadError::from)?;
    Ok((team, members))
}
