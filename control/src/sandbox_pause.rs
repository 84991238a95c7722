//! Pauses a sandbox: keeps memory and disk, and gives its host's processors and memory back.

use std::time::Duration;

use wrenn_actors::OperationError;
use wrenn_domain::{action::Action, ids::SandboxId, principal::Principal, sandbox::Sandbox};

use crate::{Control, sandbox_find::find};

/// Longest wait of a caller. A pause takes milliseconds, but a host may be busy.
const WITHIN: Duration = Duration::from_secs(120);

/// Pauses a sandbox of the principal's team and waits until it is paused; one that is paused stays as it is.
///
/// # Errors
/// See [`OperationError`].
pub async fn run(control: &Control, principal: &Principal, id: SandboxId) -> Result<Sandbox, OperationError> {
    let pass = control.enter(principal, Action::SandboxPause).await?;
    let intent = pass.intent().of(id);
    let paused = async {
        find(control, pass.team(), id).await?;
        // The wait for the host takes no place from others.
        drop(pass);
        control.actors().sandbox_pause(id, intent.clone(), WITHIN).await
    };
    control.audited(intent.clone(), paused.await).await
}
