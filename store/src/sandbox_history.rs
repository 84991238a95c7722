//! The history of a sandbox: entries of the audit log, and incidents, newest first.
//!
//! Neither refers to the sandbox's row, which may be gone. Requests that were refused, or that joined what was in flight,
//! changed nothing and are left out. Incidents are written by the statement of the transition, see
//! [`sandboxes`](crate::sandboxes).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    audit_log::AuditActor,
    history::{HistoryEntry, HistoryEvent, HistoryOrigin, Incident},
    ids::{AuditId, IncidentId, SandboxId, TeamId},
    page::{Page, PageRequest, Position},
    word::UnknownWord,
};

use crate::{Store, StoreError};

struct Row {
    id: Uuid,
    created_at: DateTime<Utc>,
    /// Set for an incident alone.
    incident: Option<String>,
    reason: Option<String>,
    action: Option<String>,
    actor_type: Option<String>,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    status: Option<String>,
    settled_at: Option<DateTime<Utc>>,
    metadata: Option<Json<Value>>,
}

impl TryFrom<Row> for HistoryEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let (at, reason) = (row.created_at, row.reason);
        if let Some(incident) = row.incident {
            let incident: Incident = incident.parse()?;
            let origin = HistoryOrigin::Incident(IncidentId(row.id));
            return Ok(Self { event: incident.into(), origin, reason, at });
        }
        let actor_type = row.actor_type.unwrap_or_default();
        let action = row.action.unwrap_or_default();
        let event = HistoryEvent::of_entry(&action, &actor_type, row.actor_name.as_deref());
        let event = event.ok_or(UnknownWord { what: "action of a capsule", value: action })?;
        let origin = HistoryOrigin::Audit {
            id: AuditId(row.id),
            actor: AuditActor::of(&actor_type, row.actor_id),
            actor_type,
            actor_name: row.actor_name,
            status: row.status.unwrap_or_default().parse()?,
            settled_at: row.settled_at,
            metadata: row.metadata.map(|metadata| metadata.0).unwrap_or_default(),
        };
        Ok(Self { event, origin, reason, at })
    }
}

fn position(entry: &HistoryEntry) -> Position {
    let id = match &entry.origin {
        HistoryOrigin::Audit { id, .. } => id.0,
        HistoryOrigin::Incident(id) => id.0,
    };
    Position { at: entry.at, id }
}

impl Store {
    /// Returns the history of a team's sandbox, newest first; nothing of a sandbox in which a build works.
    pub async fn sandbox_history(
        &self,
        team: TeamId,
        id: SandboxId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>, StoreError> {
        let (at, after) = page.bounds();
        let actions: Vec<String> = HistoryEvent::actions().into_iter().map(str::to_owned).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT id AS "id!", created_at AS "created_at!", incident AS "incident?", reason AS "reason?",
                action AS "action?", actor_type AS "actor_type?", actor_id AS "actor_id?", actor_name AS "actor_name?",
                status AS "status?", settled_at AS "settled_at?", metadata AS "metadata?: Json<Value>"
               FROM (
                (SELECT id, created_at, NULL AS incident, error AS reason, action, actor_type, actor_id, actor_name, status,
                    settled_at, metadata
                 FROM audit_logs
                 WHERE CASE resource_type WHEN 'capsule' THEN resource_id ELSE metadata ->> 'capsule' END = $1
                    AND resource_type IN ('capsule', 'template') AND team_id = $2 AND action = ANY($3)
                    AND status <> 'refused' AND joined_to IS NULL
                    AND (created_at, id) < (COALESCE($5::timestamptz, 'infinity'),
                        COALESCE($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 ORDER BY created_at DESC, id DESC LIMIT $7)
                UNION ALL
                (SELECT id, created_at, incident, reason, NULL, NULL, NULL, NULL, NULL, NULL, NULL
                 FROM sandbox_incidents
                 WHERE sandbox_id = $4 AND team_id = $2
                    AND (created_at, id) < (COALESCE($5::timestamptz, 'infinity'),
                        COALESCE($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 ORDER BY created_at DESC, id DESC LIMIT $7)
               ) AS history
               WHERE NOT EXISTS (SELECT FROM sandboxes WHERE sandboxes.id = $4 AND build_attempt IS NOT NULL)
               ORDER BY history.created_at DESC, history.id DESC LIMIT $7"#,
            id.to_string(),
            team.0,
            &actions,
            id.0,
            at,
            after,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let entries = rows.map(HistoryEntry::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(entries, page, position))
    }

    /// Removes those of the `limit` oldest incidents that are older than `age`; returns how many.
    pub async fn sandbox_incidents_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM sandbox_incidents WHERE id IN (SELECT id FROM sandbox_incidents ORDER BY id LIMIT $2)
                AND created_at < now() - make_interval(secs => $1)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
