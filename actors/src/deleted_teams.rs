//! Removes what deleted teams have left: builds, hosts, capsules, templates, statistics.
//!
//! ```text
//!   team_delete: row, members, keys, invitations ─▶ look ─▶ builds ─▶ hosts ─▶ capsules ─▶ templates ─▶ statistics
//!                                                    ▲ every few seconds, on every server
//! ```
//!
//! Each look asks the database what is there and should not be, and keeps nothing: a server that ends in the middle is
//! followed by the look of another one, and what a request added at the last moment is found, too. A host that is away
//! removes its part when it is back.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    ids::{SandboxId, TeamId, TemplateId},
    principal::SystemReason,
};
use wrenn_store::StoreError;

use crate::{
    ControlPlane,
    host_deletion::delete_hosts_of_deleted_teams,
    sandbox::{Operate, OperationRequest, UnlessBegun},
};

/// Time after which a removal that a host could not carry out is requested again.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Templates that one look removes at most: a host that does not answer must not hold up the capsules of other teams.
const TEMPLATES: u32 = 32;
/// Rows of statistics that one look removes at most: a sample is written every ten seconds, so a team has many.
const STATISTICS: u32 = 5_000;
/// Templates that are removed at once.
const TEMPLATES_AT_ONCE: usize = 8;

fn intent(action: Action, team: TeamId) -> AuditIntent {
    AuditIntent::system(SystemReason::TeamDeleted, action).in_team(team)
}

/// Removes what deleted teams have left on this server's hosts, and their templates everywhere.
///
/// # Errors
/// The database did not answer; the next look goes on.
pub(crate) async fn clean_up_deleted_teams(plane: &ControlPlane) -> Result<(), StoreError> {
    let store = &plane.parts.store;
    store.invitations_retire().await?;
    for (team, build) in store.builds_of_deleted_teams().await? {
        let intent = intent(Action::BuildCancel, team).of(build);
        if let Some(build) = store.build_cancel(build, Some(team), &intent).await? {
            tracing::info!(build = %build.id, %team, "build of a deleted team cancelled");
            plane.build_abandon(&build).await;
        }
    }
    // Capsules on hosts of the team end with their host.
    delete_hosts_of_deleted_teams(plane).await?;
    for (team, sandbox) in store.sandboxes_of_deleted_teams(plane.parts.server, RETRY_AFTER).await? {
        tracing::info!(%sandbox, %team, "removing capsule of a deleted team");
        destroy(plane, team, sandbox);
    }
    let templates = store.templates_of_deleted_teams(TEMPLATES).await?;
    let removals = stream::iter(templates);
    removals
        .for_each_concurrent(TEMPLATES_AT_ONCE, |(team, template)| delete_template(plane, team, template))
        .await;
    store.statistics_of_deleted_teams_remove(STATISTICS).await?;
    Ok(())
}

/// Requests the removal of a capsule. An actor with a full inbox is asked again by the next look.
fn destroy(plane: &ControlPlane, team: TeamId, sandbox: SandboxId) {
    let intent = intent(Action::SandboxDestroy, team).of(sandbox);
    drop(plane.parts.sandboxes.address(sandbox).try_send(Operate {
        wanted: OperationRequest::Destroy,
        intent,
        unless_begun: UnlessBegun::Skip,
    }));
}

async fn delete_template(plane: &ControlPlane, team: TeamId, template: TemplateId) {
    let intent = intent(Action::TemplateDelete, team).of(template);
    match plane.template_delete(template, intent).await {
        Ok(true) => tracing::info!(%template, %team, "template of a deleted team removed"),
        // Another server was first.
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%template, error = &error as &dyn std::error::Error, "template removal failed, will retry");
        }
    }
}

impl ControlPlane {
    /// Begins to remove what deleted teams have left, without a wait for the next look.
    pub fn clean_up_deleted_teams(&self) {
        let plane = self.clone();
        tokio::spawn(async move {
            if let Err(error) = clean_up_deleted_teams(&plane).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "clean-up of deleted teams failed, will retry"
                );
            }
        });
    }
}
