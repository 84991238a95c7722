//! Shows a build and the output of its steps.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    build::{Build, LoggedLine, LoggedStep},
    ids::{BuildId, TeamId},
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::Control;

/// Lines that are read at once.
const LINES: u32 = 5000;

/// The reason for which a build is not shown.
#[derive(Debug, thiserror::Error)]
pub enum GetBuildError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such build.
    #[error("there is no build {0}")]
    NotFound(BuildId),
    /// The database failed.
    #[error("the build could not be read")]
    Store(#[from] StoreError),
}

/// A build with its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildLog {
    /// The build.
    pub build: Build,
    /// Its steps, in their order.
    pub steps: Vec<LoggedStep>,
    /// All that they printed, in the order in which it was printed.
    pub lines: Vec<LoggedLine>,
}

/// Returns a build of the principal's team and its log.
///
/// # Errors
/// See [`GetBuildError`].
pub async fn run(control: &Control, principal: &Principal, id: BuildId) -> Result<BuildLog, GetBuildError> {
    let pass = control.enter(principal, Action::BuildGet).await?;
    read(control, id, Some(pass.team())).await
}

/// Returns any team's build and its log, for an administrator of the platform.
///
/// # Errors
/// See [`GetBuildError`].
pub async fn run_any(
    control: &Control,
    principal: &Principal,
    id: BuildId,
) -> Result<BuildLog, GetBuildError> {
    let _pass = control.enter(principal, Action::AdminBuildGet).await?;
    read(control, id, None).await
}

async fn read(control: &Control, id: BuildId, team: Option<TeamId>) -> Result<BuildLog, GetBuildError> {
    let store = control.store();
    let build = store.build_fetch(id, team).await?.ok_or(GetBuildError::NotFound(id))?;
    let steps = store.build_steps(id).await?;
    let mut lines: Vec<LoggedLine> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.seq);
        let more = store.build_lines(id, after, LINES).await?;
        if more.is_empty() {
            return Ok(BuildLog { build, steps, lines });
        }
        lines.extend(more);
    }
}
