//! Lists every team's sandboxes, for an administrator of the platform.

use wrenn_domain::{
    action::Action,
    ids::TeamId,
    lifecycle::SandboxStatus,
    page::{Page, PageRequest},
    principal::Principal,
    sandbox::Sandbox,
};

use crate::{Control, read_error::ReadError};

/// Returns the sandboxes that are not gone with the names of their teams, newest first; those of one team, and with one
/// status, if these are given.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    team: Option<TeamId>,
    status: Option<SandboxStatus>,
    page: PageRequest,
) -> Result<Page<(Sandbox, String)>, ReadError> {
    let _pass = control.enter(principal, Action::AdminCapsuleList).await?;
    let found = control.store().sandbox_list_all(team, status, page).await?;
    let names = control.store().team_names(found.items.iter().map(|sandbox| sandbox.team_id)).await?;
    Ok(found.map(|sandbox| {
        let name = names.get(&sandbox.team_id).cloned().unwrap_or_default();
        (sandbox, name)
    }))
}
