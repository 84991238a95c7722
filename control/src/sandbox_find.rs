//! The lookup of a team's own sandbox, with which every use case of a sandbox begins.

use wrenn_domain::{
    ids::{SandboxId, TeamId},
    sandbox::Sandbox,
};

use crate::{Control, sandbox_operate::OperateError};

/// Returns a team's sandbox, unless it was destroyed.
///
/// # Errors
/// [`OperateError::NotFound`], also for a sandbox of another team, or [`OperateError::Destroyed`].
pub(crate) async fn find(control: &Control, team: TeamId, id: SandboxId) -> Result<Sandbox, OperateError> {
    let sandbox = control.store().sandbox_fetch(team, id).await.map_err(OperateError::Store)?;
    let sandbox = sandbox.ok_or(OperateError::NotFound(id))?;
    if sandbox.destroyed_at.is_some() { Err(OperateError::Destroyed(id)) } else { Ok(sandbox) }
}
