//! Destroys a sandbox: nothing is left of it on its host.

use std::time::Duration;

use wrenn_actors::DestroyError as ActorError;
use wrenn_domain::{action::Action, admission::EnterError, ids::SandboxId, principal::Principal};
use wrenn_store::StoreError;

use crate::Control;

/// Longest wait for the removal, after which it goes on without the caller.
const WITHIN: Duration = Duration::from_secs(60);

/// The reason for which the sandbox is not known to be gone.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such sandbox.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    /// Its removal failed, or goes on.
    #[error(transparent)]
    Destroy(#[from] ActorError),
    /// The database failed.
    #[error("the capsule could not be read")]
    Store(#[from] StoreError),
}

/// Destroys a sandbox of the principal's team and waits until it is gone; one that is gone stays so.
///
/// # Errors
/// See [`DestroyError`].
pub async fn run(control: &Control, principal: &Principal, id: SandboxId) -> Result<(), DestroyError> {
    let pass = control.enter(principal, Action::SandboxDestroy).await?;
    let intent = pass.intent().of(id);
    let destroyed = async {
        let sandbox = control.store().sandbox_fetch(pass.team(), id).await?;
        let sandbox = sandbox.ok_or(DestroyError::NotFound(id))?;
        if sandbox.destroyed_at.is_some() {
            control.store().audit_note(&intent).await?;
            return Ok(());
        }
        // The wait for the host takes no place from others.
        drop(pass);
        control.actors().sandbox_destroy(id, intent.clone(), WITHIN).await?;
        tracing::info!(sandbox_id = %id, team_id = %sandbox.team_id, "capsule destroyed");
        Ok(())
    };
    control.audited(intent.clone(), destroyed.await).await
}
