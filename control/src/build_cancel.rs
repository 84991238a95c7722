//! Cancels a build: the row first, then the work on it, then its capsules.

use wrenn_domain::{
    action::Action,
    build::Build,
    ids::{BuildId, TeamId},
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, EnterError};

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

/// Cancels a build, and waits until nothing of it is left, for some seconds at most.
///
/// # Errors
/// See [`BuildCancelError`].
pub async fn run(control: &Control, principal: &Principal, id: BuildId) -> Result<Build, BuildCancelError> {
    let pass = control.enter(principal, Action::BuildCancel).await?;
    let intent = pass.intent().in_team(TeamId::PLATFORM).of(id);
    let cancelled = async {
        let Some(build) = control.store().build_cancel(id, &intent).await? else {
            return Err(match control.store().build_fetch(id).await? {
                Some(build) => BuildCancelError::Ended(Box::new(build)),
                None => BuildCancelError::NotFound(id),
            });
        };
        Ok(build)
    };
    let cancelled = cancelled.await;
    drop(pass);
    let build = control.audited(intent, cancelled).await?;
    tracing::info!(build = %id, "build is cancelled");
    control.actors().build_abandon(&build).await;
    Ok(build)
}
