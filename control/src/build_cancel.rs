//! Cancels a build: the row first, then the work on it, then its capsules.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    audit::AuditIntent,
    build::Build,
    ids::{BuildId, TeamId},
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, enter::Pass};

/// The reason for which a build was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum BuildCancelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such build.
    #[error("there is no build {0}")]
    NotFound(BuildId),
    /// The build has ended.
    #[error("the build has ended already: {}", .0.status.as_str())]
    Ended(Box<Build>),
    /// The database failed.
    #[error("the build cannot be read or written")]
    Store(#[from] StoreError),
}

/// Cancels a build of the principal's team, and waits until nothing of it is left, for some seconds at most.
///
/// # Errors
/// See [`BuildCancelError`].
pub async fn run(control: &Control, principal: &Principal, id: BuildId) -> Result<Build, BuildCancelError> {
    let pass = control.enter(principal, Action::BuildCancel).await?;
    let (team, intent) = (Some(pass.team()), pass.intent().of(id));
    cancel(control, pass, id, team, intent).await
}

/// Cancels any team's build, for an administrator of the platform.
///
/// # Errors
/// See [`BuildCancelError`].
pub async fn run_any(
    control: &Control,
    principal: &Principal,
    id: BuildId,
) -> Result<Build, BuildCancelError> {
    let pass = control.enter(principal, Action::AdminBuildCancel).await?;
    let intent = pass.intent().in_team(TeamId::PLATFORM).of(id);
    let found = control.store().build_fetch(id, None).await.map_err(BuildCancelError::from);
    let intent = match control.audited(intent.clone(), found).await? {
        Some(build) => intent.in_team(build.order.team_id),
        None => intent,
    };
    cancel(control, pass, id, None, intent).await
}

async fn cancel(
    control: &Control,
    pass: Pass,
    id: BuildId,
    team: Option<TeamId>,
    intent: AuditIntent,
) -> Result<Build, BuildCancelError> {
    let cancelled = async {
        let Some(build) = control.store().build_cancel(id, team, &intent).await? else {
            return Err(match control.store().build_fetch(id, team).await? {
                Some(build) => BuildCancelError::Ended(Box::new(build)),
                None => BuildCancelError::NotFound(id),
            });
        };
        Ok(build)
    };
    let cancelled = cancelled.await;
    drop(pass);
    let build = control.audited(intent, cancelled).await?;
    tracing::info!(build = %id, team = %build.order.team_id, "build cancelled");
    control.actors().build_abandon(&build).await;
    Ok(build)
}
