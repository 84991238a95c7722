//! Invites a person to a team.

use wrenn_domain::{
    action::Action,
    ids::InvitationId,
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
    team::{Invitation, NewInvitation, Role, TeamRefusal},
};

use crate::{
    Control, account, auth::invitation_text::InvitationText, invitation_mail, team_error::TeamChangeError,
};

/// Makes an invitation, in place of an earlier one for the same address. The token is mailed to the address if there is mail;
/// else it is returned, for the client to pass on, and is nowhere else.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    email: &str,
    role: Option<Role>,
) -> Result<(Invitation, Option<String>), TeamChangeError> {
    let pass = control.enter(principal, Action::InvitationCreate).await?;
    let (id, role) = (InvitationId::new(), role.unwrap_or(Role::Member));
    let intent = pass.intent().of(id).with("email", limits::echo(email)).with("role", role);
    let created: Result<_, TeamChangeError> = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        let email = check_email(email)?.to_owned();
        if role == Role::Owner {
            return Err(TeamRefusal::OwnerNotGiven.into());
        }
        let token = InvitationText::generate(control.rng());
        let new = NewInvitation { id, team_id: pass.team(), email, role, token_hash: token.hash() };
        let invitation = control.store().invitation_create(&new, by, &intent).await?;
        let token = invitation_mail::send(control, &invitation, token);
        Ok((invitation, token))
    }
    .await;
    control.audited(intent, created).await
}

/// Returns an address without the space around it.
pub(crate) fn check_email(email: &str) -> Result<&str, LimitError> {
    let email = email.trim();
    if account::is_email(email) {
        return Ok(email);
    }
    Err(LimitError { field: "email", wrong: "must be an email address".to_owned() })
}
