//! Signs a user out everywhere: all tokens of the account end.

use wrenn_domain::{action::Action, admission::EnterError, permission::Denial, principal::Principal};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a user is still signed in.
#[derive(Debug, thiserror::Error)]
pub enum LogOutError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The database failed.
    #[error("the account could not be signed out")]
    Store(#[from] StoreError),
}

/// Ends all tokens of the signed-in user.
///
/// # Errors
/// See [`LogOutError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(), LogOutError> {
    let pass = control.enter(principal, Action::LogOut).await?;
    let user = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(user);
    let ended = control.store().user_end_tokens(user, &intent).await.map_err(LogOutError::from);
    control.audited(intent, ended).await?;
    tracing::info!(user_id = %user, "user signed out");
    Ok(())
}
