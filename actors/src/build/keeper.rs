//! Looks after what builds leave: capsules and untested templates of attempts that are over, archives of builds that
//! have ended, disks of steps that are too many, builds that no news told of, builds of teams that were deleted.
//!
//! It takes no input and keeps nothing: each look asks the database what is there and should not be. So nothing is left
//! whatever ends when, and whatever goes wrong, the next look is a moment later.

use std::time::Duration;

use futures_util::future::join_all;
use wrenn_domain::{action::Action, audit::AuditIntent, ids::TeamId, principal::SystemReason};
use wrenn_proto::ids::BuildId;

use crate::{
    ControlPlane, DeleteTemplateError,
    retry::until_answered,
    sandbox::{Operate, OperationRequest, UnlessBegun},
};

/// How long the capsules of an attempt may take to go before the keeper goes on with it.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Begins the audit entry of what is done to a team's build or its leftovers.
fn clean_up_intent(action: Action, team: TeamId) -> AuditIntent {
    AuditIntent::system(SystemReason::BuildCleanUp, action).in_team(team)
}

/// Removes what builds have left, and wakes a worker if a build waits.
///
/// # Errors
/// The database did not answer; the next look goes on.
pub(crate) async fn look_after_builds(plane: &ControlPlane) -> Result<(), DeleteTemplateError> {
    let store = &plane.parts.store;
    if store.build_is_claimable().await.map_err(DeleteTemplateError::Store)? {
        plane.parts.builds.wake.notify_one();
    }
    for (sandbox, team) in
        store.build_sandboxes_left(plane.parts.server).await.map_err(DeleteTemplateError::Store)?
    {
        tracing::info!(%sandbox, "the build of this capsule is over");
        // One that has too much to do is told next time.
        let intent = clean_up_intent(Action::SandboxDestroy, team).of(sandbox);
        drop(plane.parts.sandboxes.address(sandbox).try_send(Operate {
            wanted: OperationRequest::Destroy,
            intent,
            unless_begun: UnlessBegun::Skip,
        }));
    }
    for (template, team) in store.templates_untested_left().await.map_err(DeleteTemplateError::Store)? {
        tracing::info!(%template, "the build of this template is over");
        plane.template_delete(template, clean_up_intent(Action::TemplateDelete, team).of(template)).await?;
    }
    for (template, team) in store
        .build_cache_excess(plane.parts.config.builds.cache_bytes)
        .await
        .map_err(DeleteTemplateError::Store)?
    {
        tracing::debug!(%template, "this step is not kept any longer");
        let intent = AuditIntent::system(SystemReason::Retention, Action::TemplateDelete).in_team(team);
        plane.template_delete(template, intent.of(template)).await?;
    }
    for (build, archive) in store.build_archives_left().await.map_err(DeleteTemplateError::Store)? {
        match plane.parts.objects.delete(&archive).await {
            Ok(()) => store.build_archive_forget(build).await.map_err(DeleteTemplateError::Store)?,
            Err(error) => {
                tracing::warn!(%build, error = &error as &dyn std::error::Error, "an archive stays for now");
            }
        }
    }
    Ok(())
}

/// Removes the capsules of a build that nobody works on any more, and what it has left untested.
pub(super) async fn clean_up(plane: &ControlPlane, build: BuildId, team: TeamId) {
    let store = &plane.parts.store;
    let sandboxes = until_answered("build_sandboxes", || store.build_sandboxes(build)).await;
    let gone = sandboxes.into_iter().map(|sandbox| async move {
        let intent = clean_up_intent(Action::SandboxDestroy, team).of(sandbox).with("build", build);
        if let Err(error) = plane.sandbox_destroy(sandbox, intent, GONE_WITHIN).await {
            tracing::warn!(%sandbox, error = &error as &dyn std::error::Error, "a build's capsule stays for now");
        }
    });
    join_all(gone).await;
    if let Err(error) = look_after_builds(plane).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "what a build has left stays for now");
    }
}
