//! Adds a person to a team by email address.
//!
//! Without mail every address counts as proved, and the account with the address is added at once. With mail, a person
//! without an account, or whose address is not proved, is invited instead.

use wrenn_domain::{
    action::Action,
    ids::InvitationId,
    limits,
    permission::Denial,
    principal::Principal,
    team::{NewInvitation, Role, TeamRefusal},
};
use wrenn_store::members::Addition;

use crate::{
    Control, auth::invitation_text::InvitationText, invitation_create, invitation_mail,
    team_error::TeamChangeError,
};

/// Adds the account with an address to the principal's team, or invites the person by mail.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    email: &str,
    role: Option<Role>,
) -> Result<Addition, TeamChangeError> {
    let pass = control.enter(principal, Action::MemberAdd).await?;
    let role = role.unwrap_or(Role::Member);
    let intent = pass.intent().with("email", limits::echo(email)).with("role", role);
    let added: Result<_, TeamChangeError> = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        let email = invitation_create::check_email(email)?;
        if role == Role::Owner {
            return Err(TeamRefusal::OwnerNotGiven.into());
        }
        let (invitation, token) = control
            .shared
            .mailer
            .is_some()
            .then(|| {
                let token = InvitationText::generate(control.rng());
                let invitation = NewInvitation {
                    id: InvitationId::new(),
                    team_id: pass.team(),
                    email: email.to_owned(),
                    role,
                    token_hash: token.hash(),
                };
                (invitation, token)
            })
            .unzip();
        let store = control.store();
        let added = store.member_add(pass.team(), by, email, role, invitation.as_ref(), &intent).await?;
        if let (Addition::Invited(invitation), Some(token)) = (&added, token) {
            invitation_mail::send(control, invitation, token);
        }
        Ok(added)
    }
    .await;
    control.audited(intent, added).await
}
