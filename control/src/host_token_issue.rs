//! Makes another registration token for a host; the former one is void.

use wrenn_domain::{action::Action, ids::HostId, principal::Principal};

use crate::{
    Control,
    host_error::HostError,
    host_find,
    host_shown::{ShownHost, shown},
};

/// Makes a token for a host that is not attached; returns the host with the token's text, which is nowhere else.
///
/// # Errors
/// See [`HostError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: HostId,
) -> Result<(ShownHost, String), HostError> {
    let pass = control.enter(principal, Action::HostTokenIssue).await?;
    let host = host_find::managed(control, principal, id).await?;
    let intent = host_find::intent(&pass, &host);
    let token = control.new_registration_token();
    let issued = control.store().host_registration_token_replace(id, &token.hash(), &intent).await;
    control.audited(intent, issued.map_err(HostError::from)).await?;
    tracing::info!(host = %id, "registration token issued");
    Ok((shown(control, principal, host).await?, token.into_text()))
}
