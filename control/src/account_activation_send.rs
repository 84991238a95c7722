//! Sends a user a link that proves their address.

use wrenn_base::Chain;
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    permission::Denial,
    principal::Principal,
    user::{LinkKind, User},
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{rate_limit::TooMany, secret},
    mail::Mail,
    public_url::Page,
};

/// The reason for which no link was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendActivationError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The address was sent too much mail.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The database failed.
    #[error("the account could not be looked up")]
    Store(#[from] StoreError),
}

/// Sends the signed-in user a new link, unless their address is proved.
///
/// # Errors
/// See [`SendActivationError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(), SendActivationError> {
    let _pass = control.enter(principal, Action::ActivationSend).await?;
    let gone = EnterError::Denied(Denial::NotSignedIn);
    let user = principal.user().ok_or(gone)?;
    let found = control.store().user_find_with_role(user, None).await?;
    let (user, _) = found.ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    if control.is_verified(&user) {
        return Ok(());
    }
    control.shared.rate_limits.mail_to_address.take(user.email.to_lowercase())?;
    send(control, &user).await;
    Ok(())
}

/// Issues a link and puts it into the queue of mail. A failure is logged: the user can ask for another link.
pub(crate) async fn send(control: &Control, user: &User) {
    let Some(mailer) = &control.shared.mailer else { return };
    let token = secret::token(control.rng());
    let issued =
        control.store().user_link_issue(user.id, LinkKind::Activation, &secret::hash(&token), None).await;
    if let Err(error) = issued {
        tracing::error!(user_id = %user.id, error = %Chain(&error), "activation link not issued");
        return;
    }
    let link = control.shared.accounts.public_url.link(Page::Activate, &token);
    mailer.send(Mail {
        purpose: "activation",
        to: user.email.clone(),
        subject: "Confirm your email address",
        text: format!(
            "Hello,\n\nsomebody, probably you, made an account at Wrenn with this email address. Open this link within \
             three days to confirm the address:\n\n{link}\n\nIf it was not you, ignore this mail.\n"
        ),
    });
}
