//! Lists the sandboxes of the principal's team that are not gone.

use wrenn_domain::{
    action::Action,
    page::{Page, PageRequest},
    principal::Principal,
    sandbox::Sandbox,
};

use crate::{Control, read_error::ReadError};

/// Returns the sandboxes, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<Sandbox>, ReadError> {
    let pass = control.enter(principal, Action::SandboxList).await?;
    Ok(control.store().sandbox_list(pass.team(), page).await?)
}
