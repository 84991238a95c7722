//! Sets the idle time after which a sandbox is paused.

use wrenn_actors::OperationError;
use wrenn_domain::{
    action::Action,
    ids::SandboxId,
    limits::{self, LimitError},
    principal::Principal,
    sandbox::Sandbox,
};

use crate::{Control, sandbox_find::find};

/// The reason for which the idle time is as before.
#[derive(Debug, thiserror::Error)]
pub enum SetTimeoutError {
    /// The sandbox was not found, or its actor could not write it.
    #[error(transparent)]
    Operate(#[from] OperationError),
    /// The time is out of range.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// Sets `timeout_sec` of a sandbox of the principal's team, in seconds; 0 means that it is never paused. The change counts
/// as activity, so the time begins anew.
///
/// # Errors
/// See [`SetTimeoutError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    timeout_sec: i64,
) -> Result<Sandbox, SetTimeoutError> {
    let pass = control.enter(principal, Action::SandboxTimeout).await.map_err(OperationError::from)?;
    let intent = pass.intent().of(id).with("timeout_sec", timeout_sec);
    let changed = async {
        let timeout_sec = limits::in_range("timeout_sec", timeout_sec, limits::TIMEOUT_SEC)?;
        find(control, pass.team(), id).await?;
        // The actor may wait for placement or the database; that takes no place from others.
        drop(pass);
        let changed = control.actors().sandbox_set_timeout(id, timeout_sec, intent.clone()).await;
        Ok(changed?)
    };
    control.audited(intent.clone(), changed.await).await
}
