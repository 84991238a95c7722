//! Templates and hosts: who may have which, and who has it.
//!
//! A host of the platform may have every template that was made on the platform's hosts; one that a team brought for itself may
//! have those of the team and of the platform. A template that was made on a team's own host stays on hosts of that team, and
//! no host of a team sends what was made elsewhere: a hostile host can change only what its own team runs.

use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::{
    host::{Attachment, TemplateOnHost},
    ids::{HostId, TeamId, TemplateId},
};

use crate::{Store, StoreError};

/// Returns the templates whose files no other host has.
pub(crate) async fn only_on(
    connection: &mut PgConnection,
    host: HostId,
) -> Result<Vec<TemplateOnHost>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, team_id, name, (purpose = 'template' AND status = 'ready') AS "is_visible!" FROM templates
           WHERE image IS NULL AND status IN ('ready', 'testing')
            AND EXISTS (SELECT FROM template_hosts WHERE template_id = templates.id AND host_id = $1)
            AND NOT EXISTS (SELECT FROM template_hosts WHERE template_id = templates.id AND host_id <> $1)
           ORDER BY name, id"#,
        host.0,
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows
        .map(|row| TemplateOnHost {
            id: TemplateId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            is_visible: row.is_visible,
        })
        .collect())
}

impl Store {
    /// Whether a host may be given a template's files, and somebody may want them.
    pub async fn template_may_be_on(&self, id: TemplateId, host: HostId) -> Result<bool, StoreError> {
        let may_be = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                SELECT FROM templates CROSS JOIN hosts
                WHERE templates.id = $1 AND hosts.id = $2 AND image IS NULL AND templates.status IN ('ready', 'testing')
                    AND (hosts.team_id IS NULL OR templates.team_id IN (hosts.team_id, $3))
                    AND COALESCE(templates.origin_host_team, hosts.team_id) IS NOT DISTINCT FROM hosts.team_id
                    AND hosts.deleted_at IS NULL
               ) AS "may_be!""#,
            id.0,
            host.0,
            TeamId::PLATFORM.0,
        );
        Ok(may_be.fetch_one(&self.pool).await?)
    }

    /// Returns the hosts that have a template's files, and from which others may have them.
    pub async fn template_sources(&self, id: TemplateId) -> Result<Vec<HostId>, StoreError> {
        let hosts = sqlx::query_scalar!(
            "SELECT host_id FROM template_hosts
                JOIN templates ON templates.id = template_id JOIN hosts ON hosts.id = host_id
             WHERE template_id = $1 AND hosts.team_id IS NOT DISTINCT FROM templates.origin_host_team
             ORDER BY host_id",
            id.0,
        );
        Ok(hosts.fetch_all(&self.pool).await?.into_iter().map(HostId).collect())
    }

    /// Writes that a host has these templates, as far as it may have them.
    pub async fn template_hosts_note(
        &self,
        attachment: Attachment,
        ids: &[TemplateId],
    ) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let noted = sqlx::query!(
            "INSERT INTO template_hosts (template_id, host_id)
             SELECT templates.id, hosts.id FROM templates CROSS JOIN hosts
             WHERE templates.id = ANY($2) AND hosts.id = $1 AND image IS NULL
                AND templates.status IN ('ready', 'testing')
                AND (hosts.team_id IS NULL OR templates.team_id IN (hosts.team_id, $3))
                AND COALESCE(templates.origin_host_team, hosts.team_id) IS NOT DISTINCT FROM hosts.team_id
                AND hosts.attached_to = $4 AND hosts.attachment_epoch = $5
             FOR SHARE OF hosts
             ON CONFLICT DO NOTHING",
            attachment.host.0,
            &ids,
            TeamId::PLATFORM.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
        );
        Ok(noted.execute(&self.pool).await?.rows_affected())
    }

    /// Returns the templates that are ready, or are being tested, and whose files no other host has.
    pub async fn templates_only_on(&self, host: HostId) -> Result<Vec<TemplateOnHost>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        only_on(&mut connection, host).await
    }

    /// Of these templates, returns those that are gone or going.
    pub async fn templates_gone(&self, ids: &[TemplateId]) -> Result<Vec<TemplateId>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let gone = sqlx::query_scalar!(
            r#"SELECT found AS "found!" FROM unnest($1::uuid[]) AS found
               WHERE NOT EXISTS (SELECT FROM templates WHERE id = found AND status <> 'deleting')
               ORDER BY found"#,
            &ids,
        );
        Ok(gone.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
    }
}
