//! Lists hosts: every host for an administrator of the platform, a team's own hosts for others.

use wrenn_domain::{
    action::Action,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::{
    Control,
    host_shown::{ShownHost, all_shown},
    read_error::ReadError,
};

/// Returns the hosts that the principal sees, oldest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<ShownHost>, ReadError> {
    let pass = control.enter(principal, Action::HostList).await?;
    let team = match principal {
        Principal::User { is_admin: true, .. } => None,
        _ => Some(pass.team()),
    };
    let hosts = control.store().host_page(team, page).await?;
    Ok(all_shown(control, principal, hosts).await?)
}
