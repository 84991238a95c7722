//! The lookup of a team's own sandbox, with which every use case of a sandbox begins.

use wrenn_actors::OperationError;
use wrenn_domain::{
    ids::{SandboxId, TeamId},
    sandbox::Sandbox,
};

use crate::Control;

/// Returns a team's sandbox, unless it was destroyed.
///
/// # Errors
/// [`OperationError::NotFound`], also for a sandbox of another team, or [`OperationError::Destroyed`].
pub(crate) async fn find(control: &Control, team: TeamId, id: SandboxId) -> Result<Sandbox, OperationError> {
    let sandbox = control.store().sandbox_fetch(team, id).await.map_err(OperationError::Store)?;
    let sandbox = sandbox.ok_or(OperationError::NotFound(id))?;
    if sandbox.destroyed_at.is_some() { Err(OperationError::Destroyed(id)) } else { Ok(sandbox) }
}
