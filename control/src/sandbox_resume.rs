//! Resumes a sandbox: a paused one goes on where it was, a stopped one is booted from its disk.

use std::time::Duration;

use wrenn_actors::OperationError;
use wrenn_domain::{
    action::Action,
    ids::SandboxId,
    lifecycle::SandboxStatus,
    principal::Principal,
    sandbox::{Memory, Sandbox},
};

use crate::{Control, sandbox_find::find};

/// Longest wait of a caller. A restore takes a moment, but a boot on a busy machine without acceleration takes most of a
/// minute.
const WITHIN: Duration = Duration::from_secs(180);

/// The reason for which the sandbox is not known to run.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The resume was refused, failed, or is not known to have ended.
    #[error(transparent)]
    Operate(#[from] OperationError),
    /// The sandbox was paused, and the host could not restore its memory, which is still there.
    #[error("the capsule's memory was not restored")]
    NotRestored(#[source] OperationError),
}

/// Resumes a sandbox of the principal's team and waits until it runs; one that runs stays as it is.
///
/// # Errors
/// See [`ResumeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    memory: Memory,
) -> Result<Sandbox, ResumeError> {
    let pass = control.enter(principal, Action::SandboxResume).await.map_err(OperationError::from)?;
    let intent = pass.intent().of(id);
    let resumed = async {
        let before = find(control, pass.team(), id).await?;
        // The wait for the host takes no place from others.
        drop(pass);
        let resumed = control.actors().sandbox_resume(id, memory, intent.clone(), WITHIN).await;
        resumed.map_err(|error| {
            let is_kept = memory == Memory::Keep && before.lifecycle.status == SandboxStatus::Paused;
            match error {
                error @ OperationError::Failed(_) if is_kept => ResumeError::NotRestored(error),
                error => error.into(),
            }
        })
    };
    let resumed = control.audited(intent.clone(), resumed.await).await?;
    tracing::info!(sandbox_id = %id, team_id = %resumed.team_id, "capsule resumed");
    Ok(resumed)
}
