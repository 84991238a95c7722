//! Templates and hosts: who may have which, and who has it.
//!
//! A host without a team may have every template; one that a team brought for itself may have those of the team and of
//! the platform. What a host of a team has reaches no other team: only templates of its own team are taken from it.

use uuid::Uuid;
use wrenn_domain::ids::{HostId, TeamId, TemplateId};

use crate::{Store, StoreError};

impl Store {
    /// Whether a host may be given a template's files, and somebody may want them.
    pub async fn template_may_be_on(&self, id: TemplateId, host: HostId) -> Result<bool, StoreError> {
        let may_be = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                SELECT FROM templates CROSS JOIN hosts
                WHERE templates.id = $1 AND hosts.id = $2 AND image IS NULL AND templates.status IN ('ready', 'testing')
                    AND (hosts.team_id IS NULL OR templates.team_id IN (hosts.team_id, $3))
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
             WHERE template_id = $1 AND (hosts.team_id IS NULL OR hosts.team_id = templates.team_id)
             ORDER BY host_id",
            id.0,
        );
        Ok(hosts.fetch_all(&self.pool).await?.into_iter().map(HostId).collect())
    }

    /// Writes that a host has these templates, as far as it may have them.
    pub async fn template_hosts_note(&self, host: HostId, ids: &[TemplateId]) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let noted = sqlx::query!(
            "INSERT INTO template_hosts (template_id, host_id)
             SELECT templates.id, hosts.id FROM templates CROSS JOIN hosts
             WHERE templates.id = ANY($2) AND hosts.id = $1 AND image IS NULL
                AND templates.status IN ('ready', 'testing')
                AND (hosts.team_id IS NULL OR templates.team_id IN (hosts.team_id, $3))
             ON CONFLICT DO NOTHING",
            host.0,
            &ids,
            TeamId::PLATFORM.0,
        );
        Ok(noted.execute(&self.pool).await?.rows_affected())
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
