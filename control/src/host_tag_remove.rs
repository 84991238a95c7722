//! Takes a tag from a host.

use wrenn_domain::{action::Action, ids::HostId, limits, principal::Principal};

use crate::{Control, host_error::HostError, host_find};

/// Takes a tag from a host.
///
/// # Errors
/// See [`HostError`].
pub async fn run(control: &Control, principal: &Principal, id: HostId, tag: &str) -> Result<(), HostError> {
    let pass = control.enter(principal, Action::HostTagRemove).await?;
    let host = host_find::managed(control, principal, id).await?;
    let intent = host_find::intent(&pass, &host).with("tag", tag);
    let removed = async {
        limits::check_host_tag(tag)?;
        Ok(control.store().host_tag_remove(id, tag, &intent).await?)
    };
    let removed = removed.await;
    control.audited(intent, removed).await
}
