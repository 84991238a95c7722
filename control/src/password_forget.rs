//! Sends a link that replaces a forgotten password.
//!
//! The answer is the same, and takes as long, whether or not there is such an account: the account is looked up after the
//! answer.

use std::net::IpAddr;

use wrenn_base::Chain;
use wrenn_domain::{action::Action, admission::EnterError, principal::Principal, user::LinkKind};
use wrenn_store::StoreError;

use crate::{
    Control, account,
    auth::{
        rate_limit::{TooMany, network},
        secret,
    },
    mail::{Mail, Mailer},
    public_url::Page,
};

/// The reason for which the request is not looked at.
#[derive(Debug, thiserror::Error)]
pub enum ForgetPasswordError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The network has asked too often.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Sends a link to the account with this address, if there is one, it is active, and mail is configured. An address that
/// was sent several links a moment ago is sent none.
///
/// # Errors
/// See [`ForgetPasswordError`].
pub async fn run(control: &Control, address: Option<IpAddr>, email: &str) -> Result<(), ForgetPasswordError> {
    control.shared.rate_limits.mail_of_network.take(network(address))?;
    let _pass = control.enter(&Principal::Anonymous, Action::PasswordForget).await?;
    let email = email.trim();
    let Some(mailer) = control.shared.mailer.clone() else { return Ok(()) };
    if !account::is_email(email)
        || control.shared.rate_limits.mail_to_address.take(email.to_lowercase()).is_err()
    {
        return Ok(());
    }
    let Ok(place) = control.shared.forgotten.clone().try_acquire_owned() else {
        tracing::warn!("too many requests for new passwords, one dropped");
        return Ok(());
    };
    let (control, email) = (control.clone(), email.to_owned());
    tokio::spawn(async move {
        if let Err(error) = send(&control, &mailer, &email).await {
            tracing::error!(error = %Chain(&error), "password reset link not issued");
        }
        drop(place);
    });
    Ok(())
}

async fn send(control: &Control, mailer: &Mailer, email: &str) -> Result<(), StoreError> {
    let Some((user, _)) = control.store().user_find_by_email(email).await? else { return Ok(()) };
    if !user.is_active {
        return Ok(());
    }
    let token = secret::token(control.rng());
    control.store().user_link_issue(user.id, LinkKind::PasswordReset, &secret::hash(&token), None).await?;
    let link = control.shared.accounts.public_url.link(Page::ResetPassword, &token);
    mailer.send(Mail {
        purpose: "password_reset",
        to: user.email,
        subject: "Choose a new password",
        text: format!(
            "Hello,\n\nsomebody, probably you, asked for a new password at Wrenn. Open this link within an hour to choose \
             one:\n\n{link}\n\nIf it was not you, ignore this mail: the password stays as it is.\n"
        ),
    });
    Ok(())
}
