//! The audit log as it is read: the entries of one team, or all of them, newest first.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    audit_log::{AuditEntry, AuditFilter},
    ids::{AuditId, TeamId},
    page::{Page, PageRequest, Position},
};

use crate::{Store, StoreError};

struct Row {
    id: Uuid,
    team_id: Option<Uuid>,
    team_name: Option<String>,
    scope: String,
    actor_type: String,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    status: String,
    error: Option<String>,
    metadata: Json<Value>,
    created_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: AuditId(row.id),
            team_id: row.team_id.map(TeamId),
            team_name: row.team_name,
            scope: row.scope,
            actor_type: row.actor_type,
            actor_id: row.actor_id,
            actor_name: row.actor_name,
            action: row.action,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            status: row.status.parse()?,
            error: row.error,
            metadata: row.metadata.0,
            created_at: row.created_at,
            settled_at: row.settled_at,
        })
    }
}

/// `query_as!` of entries for which `$of` is true, filtered and paged. Each `$of` is a statement of its own: one condition
/// for both would keep Postgres from an index.
macro_rules! entries {
    ($of:literal, $team:expr, $filter:expr, $page:expr) => {{
        let (filter, page): (&AuditFilter, &PageRequest) = ($filter, $page);
        let (at, id) = page.bounds();
        sqlx::query_as!(
            Row,
            r#"SELECT id, team_id, (SELECT name FROM teams WHERE teams.id = team_id) AS team_name, scope, actor_type,
                actor_id, actor_name, action, resource_type, resource_id, status, error,
                metadata AS "metadata: Json<Value>", created_at, settled_at
               FROM audit_logs WHERE "#
                + $of
                + " AND (created_at, id) < (COALESCE($2::timestamptz, 'infinity'),
                    COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                AND created_at >= COALESCE($4::timestamptz, '-infinity')
                AND created_at < COALESCE($5::timestamptz, 'infinity')
                AND ($6::text IS NULL OR resource_type = $6) AND ($7::text IS NULL OR action = $7)
                AND ($8::uuid IS NULL OR actor_id = $8)
               ORDER BY created_at DESC, id DESC LIMIT $9",
            $team,
            at,
            id,
            filter.since,
            filter.until,
            filter.resource_type,
            filter.action,
            filter.actor.map(|actor| actor.uuid()),
            page.rows_to_read(),
        )
    }};
}

impl Store {
    /// Returns the audit entries of a team, or of all teams and the platform, newest first.
    pub async fn audit_list(
        &self,
        team: Option<TeamId>,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let rows = match team {
            Some(team) => entries!("team_id = $1", team.0, filter, &page).fetch_all(&self.pool).await?,
            None => entries!("$1::uuid IS NULL", None::<Uuid>, filter, &page).fetch_all(&self.pool).await?,
        };
        let entries = rows.into_iter().map(AuditEntry::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(entries, page, |entry| Position { at: entry.created_at, id: entry.id.0 }))
    }
}
