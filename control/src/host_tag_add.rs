//! Gives a host a tag.

use wrenn_domain::{action::Action, ids::HostId, limits, principal::Principal};

use crate::{Control, host_error::HostError, host_find};

/// Gives a host a tag; one that it has already stays.
///
/// # Errors
/// See [`HostError`].
pub async fn run(control: &Control, principal: &Principal, id: HostId, tag: &str) -> Result<(), HostError> {
    let pass = control.enter(principal, Action::HostTagAdd).await?;
    let host = host_find::managed(control, principal, id).await?;
    let intent = host_find::intent(&pass, &host).with("tag", tag);
    let added = async {
        limits::check_host_tag(tag)?;
        Ok(control.store().host_tag_add(id, tag, &intent).await?)
    };
    let added = added.await;
    control.audited(intent, added).await
}
