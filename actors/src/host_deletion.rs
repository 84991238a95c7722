//! The deletion of hosts, and what follows from it for the actors.
//!
//! ```text
//!   templates that object storage has ─▶ one transaction ─▶ connection: agent terminated, sandboxes' actors read their rows
//!                                                         └▶ templates that only the host had: forgotten
//! ```
//!
//! Another server that speaks for the host finds its row gone with its next look; until then it writes nothing about the host.

use std::collections::HashSet;

use tokio::task::JoinError;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    host::{Host, HostDeletion, TemplateOnHost},
    ids::{HostId, SandboxId, TemplateId},
    principal::SystemReason,
};
use wrenn_store::{
    StoreError,
    host_deletion::{DeleteHostError as StoreDeleteError, EndedWithHost},
};

use crate::{ControlPlane, objects::ObjectError, transfer::object_name};

/// The reason for which a host was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteHostError {
    /// There is no such host.
    #[error("there is no host {0}")]
    NotFound(HostId),
    /// The host has these sandboxes, and its deletion is not forced.
    #[error("host {host} has {} capsules, which would end with it; destroy them first, or force the deletion", .sandboxes.len())]
    HasSandboxes {
        /// The host.
        host: HostId,
        /// Its sandboxes.
        sandboxes: Vec<SandboxId>,
    },
    /// The task that deletes it panicked, or the server is ending.
    #[error("the deletion was interrupted")]
    Interrupted(#[source] JoinError),
    /// Object storage failed.
    #[error("the templates in storage could not be listed")]
    Objects(#[from] ObjectError),
    /// The database failed.
    #[error("the host could not be deleted")]
    Store(#[from] StoreError),
}

impl ControlPlane {
    /// Passes on a host's row that was just written.
    pub fn host_changed(&self, row: Host) {
        self.parts.hosts.connections().refresh(row);
    }

    /// Returns the templates that end with a host: no other host has their files, and object storage does not either.
    ///
    /// # Errors
    /// [`DeleteHostError::Objects`] or [`DeleteHostError::Store`].
    pub async fn templates_lost_with(&self, host: HostId) -> Result<Vec<TemplateOnHost>, DeleteHostError> {
        let mut lost = Vec::new();
        for template in self.parts.store.templates_only_on(host).await? {
            if self.parts.objects.size(&object_name(template.id)).await?.is_none() {
                lost.push(template);
            }
        }
        Ok(lost)
    }

    /// Deletes a host with everything that only it has, whether or not it is attached. Its agent is terminated.
    ///
    /// # Errors
    /// See [`DeleteHostError`]; nothing is changed then.
    pub async fn host_delete(
        &self,
        host: HostId,
        deletion: HostDeletion,
        intent: AuditIntent,
    ) -> Result<EndedWithHost, DeleteHostError> {
        let plane = self.clone();
        // The deletion that was begun is ended, whether or not anybody waits.
        let deletion = tokio::spawn(async move { plane.delete_host(host, deletion, &intent).await });
        deletion.await.map_err(DeleteHostError::Interrupted)?
    }

    async fn delete_host(
        &self,
        host: HostId,
        deletion: HostDeletion,
        intent: &AuditIntent,
    ) -> Result<EndedWithHost, DeleteHostError> {
        let parts = &self.parts;
        let lost: HashSet<TemplateId> =
            self.templates_lost_with(host).await?.iter().map(|one| one.id).collect();
        let here = parts.store.templates_only_on(host).await?.into_iter().map(|template| template.id);
        let stored: Vec<TemplateId> = here.filter(|id| !lost.contains(id)).collect();
        let deleted = parts.store.host_delete(host, parts.server, deletion, &stored, intent).await;
        let ended = deleted.map_err(|error| match error {
            StoreDeleteError::NotFound => DeleteHostError::NotFound(host),
            StoreDeleteError::HasSandboxes(sandboxes) => DeleteHostError::HasSandboxes { host, sandboxes },
            StoreDeleteError::Store(error) => DeleteHostError::Store(error),
        })?;
        tracing::info!(%host, sandboxes = ended.sandboxes.len(), templates = ended.templates.len(), "host deleted");
        parts.hosts.connections().deleted(host);
        for &template in &ended.templates {
            // An object that appears after all is swept. A deletion that is not finished here, another server finishes.
            if let Err(error) = parts.store.template_delete_finish(template).await {
                tracing::warn!(%template, error = &error as &dyn std::error::Error, "template of a deleted host is left");
            }
        }
        Ok(ended)
    }
}

/// Deletes the hosts of deleted teams, with everything on them.
///
/// # Errors
/// The database did not answer; the next look goes on.
pub(crate) async fn delete_hosts_of_deleted_teams(plane: &ControlPlane) -> Result<(), StoreError> {
    for (team, host) in plane.parts.store.hosts_of_deleted_teams().await? {
        let intent = AuditIntent::system(SystemReason::TeamDeleted, Action::HostDelete);
        match plane.host_delete(host, HostDeletion::Forced, intent.in_team(team).of(host)).await {
            // Another server was first.
            Ok(_) | Err(DeleteHostError::NotFound(_)) => {}
            Err(error) => {
                tracing::warn!(%host, error = &error as &dyn std::error::Error, "host deletion failed, will retry");
            }
        }
    }
    Ok(())
}
