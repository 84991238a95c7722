//! The way of an invitation's token to the invited person.

use wrenn_domain::team::Invitation;

use crate::{Control, auth::invitation_text::InvitationText, mail::Mail, public_url::Page};

/// Sends an invitation to its address if there is mail. Without mail, returns the text of its token, which the client passes
/// on.
///
/// An address that was sent much lately is sent no more for now: its owner may not know the team.
pub(crate) fn send(control: &Control, invitation: &Invitation, token: InvitationText) -> Option<String> {
    let shared = &control.shared;
    let Some(mailer) = &shared.mailer else { return Some(token.into_text()) };
    if shared.rate_limits.mail_to_address.take(invitation.email.to_lowercase()).is_err() {
        tracing::warn!(invitation_id = %invitation.id, "address was sent too much mail, invitation not sent");
        return None;
    }
    let link = shared.accounts.public_url.link(Page::Invitation, &token.into_text());
    mailer.send(Mail {
        purpose: "invitation",
        to: invitation.email.clone(),
        subject: "You are invited to a team at Wrenn",
        // Without the names of the team and of its member, which could be any text.
        text: format!(
            "Hello,\n\na member of a team at Wrenn invites you to join the team. Open this link within a week to see the \
             team and to join it:\n\n{link}\n\nIf you do not know what this is about, ignore this mail.\n"
        ),
    });
    None
}
