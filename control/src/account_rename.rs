//! Renames the signed-in user.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    ids::TeamId,
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
    user::User,
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which the user has the same name as before.
#[derive(Debug, thiserror::Error)]
pub enum RenameAccountError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The name is too long, empty, or has control characters.
    #[error(transparent)]
    Name(#[from] LimitError),
    /// The account is gone since the request was authenticated.
    #[error("the token is not valid")]
    Gone,
    /// The database failed.
    #[error("the account could not be renamed")]
    Store(#[from] StoreError),
}

/// Renames the user behind the principal; returns them as they are now, with the epoch of the request's token, and the team
/// for which they act: a new token lives no longer than the one by which it was made.
///
/// # Errors
/// See [`RenameAccountError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    name: &str,
) -> Result<(User, Option<TeamId>), RenameAccountError> {
    let pass = control.enter(principal, Action::MeRename).await?;
    let Principal::User { id, epoch, .. } = *principal else {
        return Err(EnterError::Denied(Denial::NotSignedIn).into());
    };
    let intent = pass.intent().of(id);
    let renamed = async {
        let name = name.trim();
        limits::check_name("name", name)?;
        control.store().user_rename(id, name, &intent).await?;
        let found = control.store().user_find_with_role(id, None).await?;
        found.map(|(user, _)| user).ok_or(RenameAccountError::Gone)
    };
    let user = control.audited(intent.clone(), renamed.await).await?;
    Ok((User { token_epoch: epoch, ..user }, principal.team()))
}
