//! Deletes the signed-in user's account.

use wrenn_domain::{action::Action, admission::EnterError, permission::Denial, principal::Principal};
use wrenn_store::{StoreError, users::DeleteAccountError as StoreDeleteError};

use crate::Control;

/// The reason for which the account still exists.
#[derive(Debug, thiserror::Error)]
pub enum DeleteAccountError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The confirmation is not the account's address.
    #[error("confirmation: must be the email address of the account")]
    Confirmation,
    /// The account owns teams, with these names, that have other members.
    #[error("you own teams that have other members: {}; hand them over or delete them first", .0.join(", "))]
    OwnsTeams(Vec<String>),
    /// The account is the only administrator, and there are other accounts.
    #[error("you are the only administrator of the platform; make another user an administrator first")]
    OnlyAdmin,
    /// The account is gone since the request was authenticated.
    #[error("the token is not valid")]
    Gone,
    /// The database failed.
    #[error("the account could not be deleted")]
    Store(#[from] StoreError),
}

impl From<StoreDeleteError> for DeleteAccountError {
    fn from(error: StoreDeleteError) -> Self {
        match error {
            StoreDeleteError::Gone => Self::Gone,
            StoreDeleteError::OwnsTeams(names) => Self::OwnsTeams(names),
            StoreDeleteError::OnlyAdmin => Self::OnlyAdmin,
            StoreDeleteError::Store(error) => Self::Store(error),
        }
    }
}

/// Deletes the account behind the principal, its API keys, its places in teams, and the teams that only it belongs to,
/// whose capsules are destroyed.
///
/// # Errors
/// See [`DeleteAccountError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    confirmation: &str,
) -> Result<(), DeleteAccountError> {
    let pass = control.enter(principal, Action::MeDelete).await?;
    let id = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let intent = pass.intent().of(id);
    let deleted = async {
        let found = control.store().user_find_with_role(id, None).await?;
        let (user, _) = found.ok_or(DeleteAccountError::Gone)?;
        if user.email.to_lowercase() != confirmation.trim().to_lowercase() {
            return Err(DeleteAccountError::Confirmation);
        }
        Ok(control.store().user_delete(id, &intent).await?)
    };
    let teams = control.audited(intent.clone(), deleted.await).await?;
    tracing::info!(user_id = %id, teams = teams.len(), "account deleted");
    if !teams.is_empty() {
        control.actors().clean_up_deleted_teams();
    }
    Ok(())
}
