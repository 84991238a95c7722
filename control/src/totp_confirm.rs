//! Confirms a second factor by its first code; from then on signing in takes one.

use wrenn_domain::{
    action::Action, admission::EnterError, ids::TeamId, permission::Denial, principal::Principal, user::User,
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::second_factor::{self, CodeError},
};

/// The reason for which signing in is the same as before.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmTotpError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no secret that could be confirmed.
    #[error("there is no second factor to confirm; begin one first, unless you have one")]
    NotBegun,
    /// The code was not accepted.
    #[error("code: {0}")]
    Code(#[from] CodeError),
    /// The database failed.
    #[error("the second factor could not be stored")]
    Store(#[from] StoreError),
}

/// A second factor that is enabled now.
pub struct EnabledTotp {
    /// The user, whose earlier tokens have ended.
    pub user: User,
    /// The team for which the user acts.
    pub team: Option<TeamId>,
    /// Codes for a user who has lost the app; stored nowhere.
    pub recovery_codes: Vec<String>,
}

/// Enables the second factor, if the code is one of its secret, and ends all tokens of the user.
///
/// # Errors
/// See [`ConfirmTotpError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    code: &str,
) -> Result<EnabledTotp, ConfirmTotpError> {
    let pass = control.enter(principal, Action::TotpConfirm).await?;
    let id = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(id);
    let enabled = async {
        let factor = control.store().totp_find(id).await?.filter(|factor| !factor.is_enabled);
        let factor = factor.ok_or(ConfirmTotpError::NotBegun)?;
        second_factor::count_try(control, id)?;
        let totp = second_factor::totp(&factor.secret, "account").map_err(CodeError::from)?;
        let step = second_factor::step_of(control, &totp, code).ok_or(CodeError::Wrong)?;
        let (recovery_codes, hashes) = second_factor::recovery_codes(control.rng());
        let user = control.store().totp_enable(id, &factor.secret, step, &hashes, &intent).await?;
        let user = user.ok_or(ConfirmTotpError::NotBegun)?;
        Ok::<_, ConfirmTotpError>(EnabledTotp { user, team: principal.team(), recovery_codes })
    };
    let enabled = control.audited(intent.clone(), enabled.await).await?;
    tracing::info!(user_id = %id, "second factor enabled");
    Ok(enabled)
}
