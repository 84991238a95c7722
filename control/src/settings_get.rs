//! Shows the settings of the platform.

use wrenn_domain::{action::Action, principal::Principal, quota::Quota};

use crate::{Control, read_error::ReadError};

/// Returns the limits of teams that have none of their own.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Quota, ReadError> {
    let _pass = control.enter(principal, Action::SettingsGet).await?;
    Ok(control.store().quota_defaults().await?)
}
