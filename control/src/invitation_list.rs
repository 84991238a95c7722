//! Lists the open invitations of a team.

use wrenn_domain::{action::Action, principal::Principal, team::Invitation};

use crate::{Control, read_error::ReadError};

/// Returns the invitations of the principal's team that can be accepted, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<Invitation>, ReadError> {
    let pass = control.enter(principal, Action::InvitationList).await?;
    Ok(control.store().invitations_of_team(pass.team()).await?)
}
