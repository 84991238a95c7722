//! Grants or withdraws the administration of the platform, for an administrator of the platform.

use wrenn_domain::{action::Action, administration::AdminRight, ids::UserId, principal::Principal};

use crate::{Control, user_active_set::ChangeUserError};

/// Makes a user an administrator of the platform, or takes that back. Takes effect with the next request of the user.
///
/// # Errors
/// See [`ChangeUserError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    user: UserId,
    right: AdminRight,
) -> Result<(), ChangeUserError> {
    let pass = control.enter(principal, Action::AdminUserAdmin).await?;
    let intent = pass.intent().of_platform().of(user).with("is_admin", right == AdminRight::Granted);
    let set = control.store().user_set_admin(user, right, &intent).await;
    let set = set.map_err(|error| ChangeUserError::of(user, error));
    control.audited(intent, set).await?;
    tracing::info!(user_id = %user, ?right, "administration of the platform changed");
    Ok(())
}
