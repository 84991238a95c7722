//! Replaces the settings of the platform.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    principal::Principal,
    quota::{LimitTooLarge, Quota},
};
use wrenn_store::StoreError;

use crate::Control;

/// Name of the settings in the audit log.
const RESOURCE: &str = "settings";

/// The reason for which the settings stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum SetSettingsError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// A limit is out of range.
    #[error("quota.{0}")]
    Limit(#[from] LimitTooLarge),
    /// The database failed.
    #[error("the settings could not be written")]
    Store(#[from] StoreError),
}

/// Replaces the limits of teams that have none of their own.
///
/// # Errors
/// See [`SetSettingsError`].
pub async fn run(control: &Control, principal: &Principal, quota: &Quota) -> Result<(), SetSettingsError> {
    let pass = control.enter(principal, Action::SettingsSet).await?;
    let intent = pass.intent().of_platform().of(RESOURCE);
    let set = async {
        quota.check()?;
        control.store().quota_defaults_set(quota, &intent).await.map_err(SetSettingsError::from)
    };
    let set = set.await;
    control.audited(intent, set).await?;
    tracing::info!("settings changed");
    Ok(())
}
