//! Shows a sandbox of the principal's team, also one that is gone.

use wrenn_domain::{action::Action, ids::SandboxId, principal::Principal, sandbox::Sandbox};

use crate::{Control, sandbox_operate::OperateError};

/// Returns the sandbox.
///
/// # Errors
/// [`OperateError::NotFound`], also for a sandbox of another team.
pub async fn run(control: &Control, principal: &Principal, id: SandboxId) -> Result<Sandbox, OperateError> {
    let pass = control.enter(principal, Action::SandboxGet).await?;
    let sandbox = control.store().sandbox_fetch(pass.team(), id).await.map_err(OperateError::Store)?;
    sandbox.ok_or(OperateError::NotFound(id))
}
