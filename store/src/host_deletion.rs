//! The deletion of a host: its row, its sandboxes, its templates and its tokens, in one transaction.
//!
//! ```text
//!   lock the host ─▶ attach it to this server ─▶ end its sandboxes ─▶ templates that only it has ─▶ tokens, tags ─▶ deleted_at
//! ```
//!
//! The lock keeps new sandboxes out (their insert locks the host, too). The attachment passes to the server that deletes the
//! host, so whoever held it writes nothing about its sandboxes any more; a write that was first is waited for. The row stays,
//! because sandboxes that have ended name it. So do the hashes of its host tokens, until they expire: they open nothing, but an
//! agent that was away is told by one of them that its host was deleted.

use sqlx::PgConnection;
use wrenn_domain::{
    action::Action,
    audit::{AuditIntent, AuditStatus},
    host::{Attachment, Epoch, HostDeletion},
    ids::{HostId, SandboxId, ServerId, TeamId, TemplateId},
    lifecycle::Hold,
    principal::SystemReason,
    sandbox::Sandbox,
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    sandboxes, template_hosts, templates,
};

/// The reason for which a host was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteHostError {
    /// There is no such host.
    #[error("there is no such host")]
    NotFound,
    /// The host has these sandboxes, and its deletion is not forced.
    #[error("the host has sandboxes")]
    HasSandboxes(Vec<SandboxId>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for DeleteHostError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Everything that ended with a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedWithHost {
    /// The sandboxes, as they are now.
    pub sandboxes: Vec<Sandbox>,
    /// The templates that only the host had. Their deletion has begun.
    pub templates: Vec<TemplateId>,
}

/// Returns true if something of the sandbox is, or may be, on its host.
pub fn is_on_host(sandbox: &Sandbox) -> bool {
    sandbox.lifecycle.hold() != Hold::Nothing
}

/// Locks a host that is not deleted, and attaches it to `server` for the rest of the transaction.
async fn take(
    connection: &mut PgConnection,
    host: HostId,
    server: ServerId,
) -> Result<Option<Attachment>, sqlx::Error> {
    let epoch = sqlx::query_scalar!(
        "UPDATE hosts SET attached_to = $2, attachment_epoch = attachment_epoch + 1
         WHERE id = $1 AND deleted_at IS NULL RETURNING attachment_epoch",
        host.0,
        server.0,
    );
    let epoch = epoch.fetch_optional(connection).await?;
    Ok(epoch.map(|epoch| Attachment { host, server, epoch: Epoch(epoch.cast_unsigned()) }))
}

impl Store {
    /// Deletes a host, with the audit entries of everything that ends. Templates that only it has end with it, unless they are
    /// among `stored`, which object storage has.
    ///
    /// # Errors
    /// See [`DeleteHostError`]; nothing is changed then.
    pub async fn host_delete(
        &self,
        host: HostId,
        server: ServerId,
        deletion: HostDeletion,
        stored: &[TemplateId],
        intent: &AuditIntent,
    ) -> Result<EndedWithHost, DeleteHostError> {
        let mut transaction = self.pool.begin().await?;
        let attachment = take(&mut transaction, host, server).await?.ok_or(DeleteHostError::NotFound)?;
        let rows = sandboxes::lock_of_host(&mut transaction, host).await?;
        let here: Vec<SandboxId> = rows.iter().filter(|row| is_on_host(row)).map(|row| row.id).collect();
        if deletion == HostDeletion::IfEmpty && !here.is_empty() {
            return Err(DeleteHostError::HasSandboxes(here));
        }
        let mut ended = EndedWithHost::default();
        for row in &rows {
            ended.sandboxes.extend(sandboxes::end_with_host(&mut transaction, row, attachment).await?);
        }
        for template in template_hosts::only_on(&mut transaction, host).await? {
            if stored.contains(&template.id) {
                continue;
            }
            let intent = AuditIntent::system(SystemReason::HostDeleted, Action::TemplateDelete);
            let intent = intent.in_team(template.team_id).of(&template.name);
            if templates::begin_deletion(&mut transaction, template.id, server, &intent).await? {
                ended.templates.push(template.id);
            }
        }
        sqlx::query!("DELETE FROM template_hosts WHERE host_id = $1", host.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query!("DELETE FROM host_tags WHERE host_id = $1", host.0).execute(&mut *transaction).await?;
        sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1 AND kind <> 'host'", host.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query!(
            "UPDATE hosts SET deleted_at = now(), attached_to = NULL, attachment_epoch = attachment_epoch + 1,
                status = 'offline', updated_at = now()
             WHERE id = $1",
            host.0,
        )
        .execute(&mut *transaction)
        .await?;
        let intent = intent.clone().with("capsules", here.len()).with("templates", ended.templates.len());
        audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Returns the hosts of deleted teams.
    pub async fn hosts_of_deleted_teams(&self) -> Result<Vec<(TeamId, HostId)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT hosts.id, teams.id AS team_id FROM hosts JOIN teams ON teams.id = hosts.team_id
               WHERE hosts.deleted_at IS NULL AND teams.deleted_at IS NOT NULL ORDER BY hosts.id"#
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TeamId(row.team_id), HostId(row.id))).collect())
    }
}
