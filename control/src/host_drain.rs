//! Drains a host, or opens it again.
//!
//! Nothing new is placed on a host that is drained, neither capsules nor builds; what runs or is paused there goes on.

use wrenn_domain::{action::Action, host::Intake, ids::HostId, principal::Principal};

use crate::{
    Control,
    host_error::HostError,
    host_find,
    host_shown::{ShownHost, shown},
};

/// Sets whether a host takes new capsules; returns the host as it is then.
///
/// # Errors
/// See [`HostError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: HostId,
    intake: Intake,
) -> Result<ShownHost, HostError> {
    let pass = control.enter(principal, Action::HostDrain).await?;
    let host = host_find::managed(control, principal, id).await?;
    let intent = host_find::intent(&pass, &host).with("enabled", intake == Intake::Closed);
    let changed = control.store().host_set_intake(id, intake, &intent).await;
    let host = control.audited(intent, changed.map_err(HostError::from)).await?;
    control.actors().host_changed(host.clone());
    tracing::info!(host = %id, %intake, "host drained or opened");
    Ok(shown(control, principal, host).await?)
}
