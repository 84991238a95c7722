//! Lists every team, for an administrator of the platform.

use wrenn_domain::{
    action::Action,
    administration::TeamOverview,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::{Control, read_error::ReadError};

/// Returns the teams, newest first, also those that are deleted; without the platform's own.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<TeamOverview>, ReadError> {
    let _pass = control.enter(principal, Action::AdminTeamList).await?;
    Ok(control.store().team_list_all(page).await?)
}
