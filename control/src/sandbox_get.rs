//! Shows a sandbox of the principal's team, also one that is gone until its row is retired.

use wrenn_actors::OperationError;
use wrenn_domain::{action::Action, ids::SandboxId, principal::Principal, sandbox::Sandbox};

use crate::Control;

/// Returns the sandbox.
///
/// # Errors
/// [`OperationError::NotFound`], also for a sandbox of another team.
pub async fn run(control: &Control, principal: &Principal, id: SandboxId) -> Result<Sandbox, OperationError> {
    let pass = control.enter(principal, Action::SandboxGet).await?;
    let sandbox = control.store().sandbox_fetch(pass.team(), id).await.map_err(OperationError::Store)?;
    sandbox.ok_or(OperationError::NotFound(id))
}
