//! Lists every user, for an administrator of the platform.

use wrenn_domain::{
    action::Action,
    administration::UserOverview,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::{Control, read_error::ReadError};

/// Returns the users, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<UserOverview>, ReadError> {
    let _pass = control.enter(principal, Action::AdminUserList).await?;
    Ok(control.store().user_list_all(page).await?)
}
