//! Shows a host.

use wrenn_domain::{action::Action, ids::HostId, principal::Principal};

use crate::{
    Control,
    host_error::HostError,
    host_find,
    host_shown::{ShownHost, shown},
};

/// Returns a host that the principal sees.
///
/// # Errors
/// See [`HostError`].
pub async fn run(control: &Control, principal: &Principal, id: HostId) -> Result<ShownHost, HostError> {
    let _pass = control.enter(principal, Action::HostGet).await?;
    let host = host_find::visible(control, principal, id).await?;
    Ok(shown(control, principal, host).await?)
}
