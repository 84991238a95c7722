//! Accepts an invitation: the signed-in user becomes a member of its team.

use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    permission::Denial,
    principal::Principal,
    team::{Role, Team, TeamRefusal},
};

use crate::{Control, auth::secret, team_error::TeamChangeError};

/// Makes the signed-in user, whose address must be the invitation's, a member of its team; returns the team and the user's
/// role in it.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    token: &str,
) -> Result<(Team, Role), TeamChangeError> {
    let pass = control.enter(principal, Action::InvitationAccept).await?;
    let user = principal.user().ok_or(Denial::NotSignedIn)?;
    let invitation = control.store().invitation_find(&secret::hash(token)).await?;
    // The team for which the user acts has nothing to do with it.
    let intent = AuditIntent { team: None, ..pass.intent() };
    let Some(invitation) = invitation else {
        return control.audited(intent, Err(TeamRefusal::InvalidInvitation.into())).await;
    };
    let intent = intent.in_team(invitation.team_id).of(invitation.id);
    let accepted = control.store().invitation_accept(&invitation, user, &intent).await;
    control.audited(intent, accepted.map_err(TeamChangeError::from)).await
}
