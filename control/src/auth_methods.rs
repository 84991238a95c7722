//! Shows the ways to sign up and in.

use wrenn_domain::{action::Action, admission::EnterError, principal::Principal, user::SignUpPolicy};

use crate::Control;

/// Ways to sign up and in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthMethods {
    /// Rule for sign-up.
    pub signup: SignUpPolicy,
    /// True if the server sends mail.
    pub mail: bool,
    /// Names of the identity providers.
    pub providers: Vec<String>,
}

/// Returns the ways to sign up and in.
///
/// # Errors
/// If there is too much to do.
pub async fn run(control: &Control) -> Result<AuthMethods, EnterError> {
    let _pass = control.enter(&Principal::Anonymous, Action::AuthMethods).await?;
    let shared = &control.shared;
    Ok(AuthMethods {
        signup: shared.accounts.signup,
        mail: shared.mailer.is_some(),
        providers: shared.providers.names(),
    })
}
