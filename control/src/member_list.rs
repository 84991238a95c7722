//! Lists the members of a team.

use wrenn_domain::{action::Action, principal::Principal, team::TeamMember};

use crate::{Control, read_error::ReadError};

/// Returns the members of the principal's team: owner, admins, members.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<TeamMember>, ReadError> {
    let pass = control.enter(principal, Action::MemberList).await?;
    Ok(control.store().team_members(pass.team()).await?)
}
