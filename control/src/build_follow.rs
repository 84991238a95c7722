//! Follows a build: its row, its steps and the lines that they print, read anew whenever something changes.

use tokio::sync::watch;
use wrenn_actors::Grant;
use wrenn_domain::{
    action::Action,
    build::{Build, LoggedLine, LoggedStep},
    ids::{BuildId, TeamId},
    principal::Principal,
};

use crate::{Control, build_get::GetBuildError, read_error::ReadError};

/// Lines that are read at once.
const LINES: u32 = 500;

/// A build that is followed. Its reads need no permission of their own, and take no place from other requests.
#[derive(Debug)]
pub struct FollowedBuild {
    control: Control,
    id: BuildId,
    changed: watch::Receiver<()>,
    grant: Grant,
}

/// Begins to follow a build of the principal's team.
///
/// # Errors
/// See [`GetBuildError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: BuildId,
) -> Result<FollowedBuild, GetBuildError> {
    let pass = control.enter(principal, Action::BuildFollow).await?;
    let grant = control.actors().grant(*principal, Action::BuildFollow);
    follow(control, id, Some(pass.team()), grant).await
}

/// Begins to follow any team's build, for an administrator of the platform.
///
/// # Errors
/// See [`GetBuildError`].
pub async fn run_any(
    control: &Control,
    principal: &Principal,
    id: BuildId,
) -> Result<FollowedBuild, GetBuildError> {
    let _pass = control.enter(principal, Action::AdminBuildFollow).await?;
    let grant = control.actors().grant(*principal, Action::AdminBuildFollow);
    follow(control, id, None, grant).await
}

async fn follow(
    control: &Control,
    id: BuildId,
    team: Option<TeamId>,
    grant: Grant,
) -> Result<FollowedBuild, GetBuildError> {
    // Subscribed before the first read, so that no change between the two is missed.
    let changed = control.actors().build_follow(id);
    control.store().build_fetch(id, team).await?.ok_or(GetBuildError::NotFound(id))?;
    Ok(FollowedBuild { control: control.clone(), id, changed, grant })
}

impl FollowedBuild {
    /// Marks all changes up to now as seen; call it before the reads that shall see them.
    pub fn mark_seen(&mut self) {
        self.changed.borrow_and_update();
    }

    /// Waits until the permission to follow the build is revoked.
    pub fn revoked(&self) -> impl Future<Output = ()> + use<> {
        let grant = self.grant.clone();
        async move { grant.revoked().await }
    }

    /// Waits until this server reports a change that is not marked as seen.
    ///
    /// A build that runs on another server changes without a report, so poll from time to time, too.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The sender is gone: no further report comes.
            std::future::pending::<()>().await;
        }
    }

    /// Returns the build; `None` if its row is gone.
    ///
    /// # Errors
    /// If the database failed.
    pub async fn build(&self) -> Result<Option<Build>, ReadError> {
        Ok(self.control.store().build_fetch(self.id, None).await?)
    }

    /// Returns the build's steps that have begun, in their order.
    ///
    /// # Errors
    /// If the database failed.
    pub async fn steps(&self) -> Result<Vec<LoggedStep>, ReadError> {
        Ok(self.control.store().build_steps(self.id).await?)
    }

    /// Returns the next lines after the line `after`, a few hundred at most; none if there are no more yet.
    ///
    /// # Errors
    /// If the database failed.
    pub async fn lines(&self, after: u64) -> Result<Vec<LoggedLine>, ReadError> {
        Ok(self.control.store().build_lines(self.id, after, LINES).await?)
    }
}
