//! Lists the tags of a host.

use wrenn_domain::{action::Action, ids::HostId, principal::Principal};

use crate::{Control, host_error::HostError, host_find};

/// Returns the tags of a host, sorted.
///
/// # Errors
/// See [`HostError`].
pub async fn run(control: &Control, principal: &Principal, id: HostId) -> Result<Vec<String>, HostError> {
    let _pass = control.enter(principal, Action::HostTagList).await?;
    let host = host_find::visible(control, principal, id).await?;
    Ok(control.store().host_tags(host.id).await?)
}
