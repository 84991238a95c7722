//! Leftovers of deleted teams: builds, capsules and templates, which the actors remove one after the other.
//!
//! A request that was permitted just before its team was deleted may still add to it. No statement waits for the deletion;
//! the queries find what was added late, too.

use std::time::Duration;

use wrenn_domain::ids::{BuildId, SandboxId, ServerId, TeamId, TemplateId};

use crate::{Store, StoreError};

impl Store {
    /// Returns the builds of deleted teams that have not ended.
    pub async fn builds_of_deleted_teams(&self) -> Result<Vec<(TeamId, BuildId)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT b.team_id, b.id FROM template_builds b JOIN teams t ON t.id = b.team_id
             WHERE t.deleted_at IS NOT NULL AND b.status IN ('pending', 'running') ORDER BY b.id"
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TeamId(row.team_id), BuildId(row.id))).collect())
    }

    /// Returns the capsules of deleted teams on a server's hosts whose removal is not in flight. One whose removal has
    /// failed is returned again after `retry`.
    pub async fn sandboxes_of_deleted_teams(
        &self,
        server: ServerId,
        retry: Duration,
    ) -> Result<Vec<(TeamId, SandboxId)>, StoreError> {
        // `OFFSET 0` has each deleted team's few rows found by the index of live capsules: Postgres would read all capsules.
        let rows = sqlx::query!(
            "SELECT s.team_id, s.id FROM teams t CROSS JOIN LATERAL (
                SELECT * FROM sandboxes WHERE team_id = t.id AND destroyed_at IS NULL OFFSET 0) s
             WHERE t.deleted_at IS NOT NULL AND s.operation IS DISTINCT FROM 'destroying'
                AND (s.destroy_requested_at IS NULL OR s.updated_at < now() - make_interval(secs => $2))
                AND s.host_id IN (SELECT id FROM hosts WHERE attached_to = $1)
             ORDER BY s.id",
            server.0,
            retry.as_secs_f64(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TeamId(row.team_id), SandboxId(row.id))).collect())
    }

    /// Returns templates of deleted teams that are complete, at most `limit`. One that is being made ends with its capsule.
    pub async fn templates_of_deleted_teams(
        &self,
        limit: u32,
    ) -> Result<Vec<(TeamId, TemplateId)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT p.team_id, p.id FROM templates p JOIN teams t ON t.id = p.team_id
             WHERE t.deleted_at IS NOT NULL AND p.status IN ('ready', 'testing') ORDER BY p.id LIMIT $1",
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TeamId(row.team_id), TemplateId(row.id))).collect())
    }
}
