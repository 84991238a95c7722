//! Injects faults, to test how the platform recovers; only where the configuration allows it.

use wrenn_actors::{InjectError, Victim};
use wrenn_domain::{action::Action, admission::EnterError, ids::HostId, principal::Principal};

use crate::Control;

/// The reason for which no fault was injected.
#[derive(Debug, thiserror::Error)]
pub enum InjectFaultError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The configuration does not allow it, or there is no such actor.
    #[error(transparent)]
    Inject(#[from] InjectError),
}

/// Makes an actor's handler panic, and waits until it has.
///
/// # Errors
/// See [`InjectFaultError`].
pub async fn run_panic(
    control: &Control,
    principal: &Principal,
    victim: Victim,
) -> Result<(), InjectFaultError> {
    let pass = control.enter(principal, Action::InjectPanic).await?;
    drop(pass);
    Ok(control.actors().inject_panic(victim).await?)
}

/// Cuts the stream of a host's agent, which dials again.
///
/// # Errors
/// See [`InjectFaultError`].
pub async fn run_cut(control: &Control, principal: &Principal, host: HostId) -> Result<(), InjectFaultError> {
    let pass = control.enter(principal, Action::InjectCut).await?;
    drop(pass);
    Ok(control.actors().inject_cut(host).await?)
}
