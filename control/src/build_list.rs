//! Lists builds: those of the principal's team, or of all teams.

use wrenn_domain::{
    action::Action,
    build::{Build, LogEntry},
    ids::TeamId,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::{Control, read_error::ReadError};

/// Returns builds of the principal's team, newest first, each with the entries of its log.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<(Build, Vec<LogEntry>)>, ReadError> {
    let pass = control.enter(principal, Action::BuildList).await?;
    list(control, Some(pass.team()), page).await
}

/// Returns builds of all teams, for an administrator of the platform.
///
/// # Errors
/// See [`ReadError`].
pub async fn run_all(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<(Build, Vec<LogEntry>)>, ReadError> {
    let _pass = control.enter(principal, Action::AdminBuildList).await?;
    list(control, None, page).await
}

async fn list(
    control: &Control,
    team: Option<TeamId>,
    page: PageRequest,
) -> Result<Page<(Build, Vec<LogEntry>)>, ReadError> {
    let store = control.store();
    let builds = store.build_list(team, page).await?;
    let ids: Vec<_> = builds.items.iter().map(|build| build.id).collect();
    let mut entries = store.build_entries(&ids).await?;
    Ok(builds.map(|build| {
        let entries = entries.remove(&build.id).unwrap_or_default();
        (build, entries)
    }))
}
