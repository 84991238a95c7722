//! Begins a second factor: makes the secret that an authenticator app shall keep.

use totp_rs::TotpError;
use wrenn_domain::{action::Action, admission::EnterError, permission::Denial, principal::Principal};
use wrenn_store::StoreError;

use crate::{Control, auth::second_factor};

/// The reason for which there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum BeginTotpError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The user has a second factor.
    #[error("you have a second factor already; remove it first")]
    Enabled,
    /// The address is not proved: its owner could be another person, who would be locked out.
    #[error("confirm your email address first, by the link that was sent to it")]
    Unverified,
    /// The account is gone since the request was authenticated.
    #[error("the token is not valid")]
    Gone,
    /// The secret cannot be written for an app.
    #[error("the secret could not be written for an app")]
    Secret(#[from] TotpError),
    /// The database failed.
    #[error("the second factor could not be stored")]
    Store(#[from] StoreError),
}

/// A secret for an authenticator app.
pub struct NewTotp {
    /// The secret in base32, to be typed in.
    pub secret: String,
    /// The secret as an `otpauth` address, to be shown as a QR code.
    pub otpauth_url: String,
}

/// Makes a secret, in place of one that was not confirmed. Signing in is the same as before until a code is confirmed.
///
/// # Errors
/// See [`BeginTotpError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<NewTotp, BeginTotpError> {
    let pass = control.enter(principal, Action::TotpBegin).await?;
    let id = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(id);
    let begun = async {
        let found = control.store().user_find_with_role(id, None).await?;
        let (user, _) = found.ok_or(BeginTotpError::Gone)?;
        if !control.is_verified(&user) {
            return Err(BeginTotpError::Unverified);
        }
        let secret = second_factor::new_secret(control.rng());
        let totp = second_factor::totp(&secret, &user.email)?;
        if !control.store().totp_begin(id, &secret, &intent).await? {
            return Err(BeginTotpError::Enabled);
        }
        Ok(NewTotp { secret: totp.secret().to_base32(), otpauth_url: totp.to_url()? })
    };
    control.audited(intent.clone(), begun.await).await
}
