//! Lists hosts: every host for an administrator of the platform, a team's own hosts for others.

use wrenn_domain::{action::Action, host::Host, principal::Principal};

use crate::{Control, read_error::ReadError};

/// Returns the hosts that the principal sees, oldest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<Host>, ReadError> {
    let pass = control.enter(principal, Action::HostList).await?;
    match principal {
        Principal::User { is_admin: true, .. } => Ok(control.store().host_list().await?),
        _ => Ok(control.store().host_list_of_team(pass.team()).await?),
    }
}
