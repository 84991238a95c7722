//! Shows the history of a sandbox of the principal's team, also of one that is gone.

use wrenn_actors::OperationError;
use wrenn_domain::{
    action::Action,
    history::HistoryEntry,
    ids::SandboxId,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::Control;

/// Returns what happened to the sandbox, newest first.
///
/// # Errors
/// [`OperationError::NotFound`], also for a sandbox of another team.
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    page: PageRequest,
) -> Result<Page<HistoryEntry>, OperationError> {
    let pass = control.enter(principal, Action::SandboxHistory).await?;
    let (store, team) = (control.store(), pass.team());
    let found = store.sandbox_history(team, id, page).await.map_err(OperationError::Store)?;
    if found.items.is_empty() {
        // The history outlives the sandbox, and a sandbox of long ago may outlive its history.
        let sandbox = store.sandbox_fetch(team, id).await.map_err(OperationError::Store)?;
        let is_known = sandbox.is_some() || page.after.is_some();
        if !is_known {
            return Err(OperationError::NotFound(id));
        }
    }
    Ok(found)
}
