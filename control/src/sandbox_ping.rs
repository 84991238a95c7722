//! Records that a running sandbox is still in use: its idle time begins anew.

use wrenn_domain::{action::Action, ids::SandboxId, principal::Principal};

use crate::{Control, sandbox_find::find, session_open::SessionError};

/// Records activity of a running sandbox of the principal's team.
///
/// # Errors
/// See [`SessionError`].
pub async fn run(control: &Control, principal: &Principal, id: SandboxId) -> Result<(), SessionError> {
    let pass = control.enter(principal, Action::SandboxPing).await?;
    find(control, pass.team(), id).await?;
    // The actor may wait for placement or the database; that takes no place from others.
    drop(pass);
    control.actors().sandbox_use(id).await?;
    Ok(())
}
