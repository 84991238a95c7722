//! Switches an account on or off, for an administrator of the platform.

use wrenn_domain::{
    action::Action, administration::AccountSwitch, admission::EnterError, ids::UserId, principal::Principal,
};
use wrenn_store::{StoreError, administration::ChangeUserError as StoreChangeError};

use crate::Control;

/// The reason for which an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeUserError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such account.
    #[error("there is no user {0}")]
    NotFound(UserId),
    /// Administrators do not switch themselves off.
    #[error("you cannot switch off your own account; ask another administrator of the platform")]
    Yourself,
    /// The platform would be left without an administrator.
    #[error("{0} is the platform's last active administrator; make another user an administrator first")]
    LastAdmin(UserId),
    /// The database failed.
    #[error("the account could not be written")]
    Store(#[from] StoreError),
}

impl ChangeUserError {
    /// Adds to the store's error which account it is about.
    pub(crate) fn of(user: UserId, error: StoreChangeError) -> Self {
        match error {
            StoreChangeError::NotFound => Self::NotFound(user),
            StoreChangeError::LastAdmin => Self::LastAdmin(user),
            StoreChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// Switches an account on or off. Switching it off ends its sessions and its keys at once.
///
/// # Errors
/// See [`ChangeUserError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    user: UserId,
    switch: AccountSwitch,
) -> Result<(), ChangeUserError> {
    let pass = control.enter(principal, Action::AdminUserActive).await?;
    let intent = pass.intent().of_platform().of(user).with("active", switch == AccountSwitch::On);
    let set = async {
        if switch == AccountSwitch::Off && principal.user() == Some(user) {
            return Err(ChangeUserError::Yourself);
        }
        let set = control.store().user_set_active(user, switch, &intent).await;
        set.map_err(|error| ChangeUserError::of(user, error))
    };
    let set = set.await;
    control.audited(intent, set).await?;
    tracing::info!(user_id = %user, ?switch, "account switched");
    Ok(())
}
