//! Lists the newest builds.

use wrenn_domain::{action::Action, build::Build, principal::Principal};

use crate::{Control, read_error::ReadError};

/// Builds that are listed.
const AT_MOST: u32 = 200;

/// Returns the newest builds, newest first, without their logs.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<Build>, ReadError> {
    let _pass = control.enter(principal, Action::BuildList).await?;
    Ok(control.store().build_list(AT_MOST).await?)
}
