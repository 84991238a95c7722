//! Notes that a host lives, as hosts of older clients say over REST.
//!
//! The status of a host is that of its agent's link; a heartbeat does not change it.

use wrenn_domain::{action::Action, ids::HostId, permission::Denial, principal::Principal};

use crate::{Control, host_error::HostError};

/// Notes that the host whose token the principal has lives.
///
/// # Errors
/// See [`HostError`].
pub async fn run(control: &Control, principal: &Principal, id: HostId) -> Result<(), HostError> {
    let _pass = control.enter(principal, Action::HostHeartbeat).await?;
    if *principal != (Principal::Host { id }) {
        return Err(Denial::OtherHost.into());
    }
    if control.store().host_seen(id).await? { Ok(()) } else { Err(HostError::NotFound(id)) }
}
