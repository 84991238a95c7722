//! Takes an invitation back.

use wrenn_domain::{action::Action, ids::InvitationId, principal::Principal, team::TeamRefusal};

use crate::{Control, team_error::TeamChangeError};

/// Deletes an open invitation of the principal's team.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal, id: InvitationId) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::InvitationDelete).await?;
    let intent = pass.intent().of(id);
    let deleted = match control.store().invitation_delete(pass.team(), id, &intent).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TeamRefusal::NoInvitation(id).into()),
        Err(error) => Err(error.into()),
    };
    control.audited(intent, deleted).await
}
