//! Removes the signed-in user's second factor.

use std::net::IpAddr;

use wrenn_domain::{
    action::Action, admission::EnterError, ids::TeamId, permission::Denial, principal::Principal, user::User,
};
use wrenn_store::StoreError;

use crate::{
    Control,
    auth::{
        password::PasswordError,
        rate_limit::{TooMany, network},
        second_factor::{self, CodeError},
    },
};

/// The reason for which signing in still takes a code.
#[derive(Debug, thiserror::Error)]
pub enum DisableTotpError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no second factor.
    #[error("you have no second factor")]
    NotEnabled,
    /// Neither a code nor the password was given.
    #[error("give `code` or `password`")]
    ProofMissing,
    /// The code was not accepted.
    #[error("code: {0}")]
    Code(#[from] CodeError),
    /// The password is wrong.
    #[error("password: is wrong")]
    Wrong,
    /// Too many passwords were tried.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The password could not be compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error("the second factor could not be removed")]
    Store(#[from] StoreError),
}

/// Proof that the user, and not only their browser, wants the second factor removed.
pub enum TotpProof {
    /// A code of the app, or a recovery code.
    Code(String),
    /// The password of the account.
    Password(String),
}

/// Removes the second factor and its recovery codes, and ends all tokens of the user; returns them and the team for which
/// they act.
///
/// # Errors
/// See [`DisableTotpError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    address: Option<IpAddr>,
    proof: Option<TotpProof>,
) -> Result<(User, Option<TeamId>), DisableTotpError> {
    let pass = control.enter(principal, Action::TotpDisable).await?;
    let id = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(id);
    drop(pass);
    let disabled = async {
        let factor = control.store().totp_find(id).await?.filter(|factor| factor.is_enabled);
        let factor = factor.ok_or(DisableTotpError::NotEnabled)?;
        match proof.ok_or(DisableTotpError::ProofMissing)? {
            TotpProof::Code(code) => second_factor::use_code(control, id, &factor, &code).await?,
            TotpProof::Password(password) => {
                let found = control.store().user_find_with_password(id).await?;
                let (user, hash) = found.ok_or(DisableTotpError::NotEnabled)?;
                control.shared.rate_limits.hashes.take(network(address))?;
                let now = control.clock().now();
                let attempt = control.shared.login_throttle.begin(address, &user.email, now)?;
                if !attempt.verify(&control.shared.passwords, password, hash).await? {
                    return Err(DisableTotpError::Wrong);
                }
            }
        }
        control.store().totp_disable(id, &intent).await?.ok_or(DisableTotpError::NotEnabled)
    };
    let user = control.audited(intent.clone(), disabled.await).await?;
    tracing::info!(user_id = %id, "second factor removed");
    Ok((user, principal.team()))
}
