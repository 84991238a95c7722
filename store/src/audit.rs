//! The audit log: one entry for each change that somebody was permitted to make.
//!
//! ```text
//!   insert, in the transaction of the change ─▶ succeeded
//!                                            └▶ accepted ── settle, in the transaction of its end ─▶ succeeded, failed
//!   audit_refuse, on its own ─▶ refused
//! ```
//!
//! An entry is written once: its id is made beforehand, and a second insert does nothing, except that a change which is
//! committed late takes the place of a refusal. The entry of a change and its end are events; refusals and requests that
//! change nothing are not. The entries of sandboxes are written by [`sandboxes`](crate::sandboxes) in the statements of
//! their transitions, whose event is `capsule.changed`. The expression for the name of an actor stands in each of these
//! statements: a function of it in the database is planned anew at each call.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditOutcome, AuditStatus, harmless},
    ids::{AuditId, TeamId},
};

use crate::{Store, StoreError};

/// Place of an entry among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// The entry of a change, which is an event, too.
    Change,
    /// The entry of a request that changed nothing.
    Note,
    /// The entry of a request that joined an operation, with whose entry it is settled.
    Joined(AuditId),
}

/// Writes an entry in the transaction of the change. An entry that is written already stays as it is, unless it is a refusal
/// and the change was made after all.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    intent: &AuditIntent,
    status: AuditStatus,
    error: Option<&str>,
    kind: EntryKind,
) -> Result<(), sqlx::Error> {
    let spec = intent.action.spec();
    let joined_to = match kind {
        EntryKind::Joined(id) => Some(id.0),
        EntryKind::Change | EntryKind::Note => None,
    };
    sqlx::query!(
        "WITH entry AS (
            INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type,
                resource_id, status, error, metadata, settled_at, joined_to)
            VALUES ($1, $2, $3, $4, $5, CASE $4::text
                    WHEN 'user' THEN (SELECT name FROM users WHERE users.id = $5)
                    WHEN 'api_key' THEN (SELECT name FROM api_keys WHERE api_keys.id = $5)
                    ELSE $6 END, $7, $8, $9, $10, $11, $12,
                CASE WHEN $10 <> 'accepted' THEN clock_timestamp() END, $14)
            ON CONFLICT (id) DO UPDATE
                SET status = EXCLUDED.status, error = EXCLUDED.error, settled_at = EXCLUDED.settled_at
                WHERE audit_logs.status = 'refused' AND EXCLUDED.status <> 'refused'
            RETURNING id)
         INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
         SELECT $7, $2, $8, $9, jsonb_build_object('status', $10::text, 'audit_id', id)
         FROM entry WHERE $13::boolean",
        intent.id.0,
        intent.team.map(|team| team.0),
        intent.scope(),
        intent.principal.kind(),
        intent.principal.uuid(),
        intent.principal.reason().map(|reason| reason.as_str()),
        spec.name,
        spec.resource.as_str(),
        intent.resource,
        status.as_str(),
        error,
        Json(&intent.metadata) as _,
        kind == EntryKind::Change,
        joined_to,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the end of a change, with its event, in the transaction that ends it, and that of the requests which joined it;
/// nothing if that is written already.
pub(crate) async fn settle(
    connection: &mut PgConnection,
    id: AuditId,
    outcome: &AuditOutcome,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH entry AS (
            UPDATE audit_logs SET status = $2, error = $3, settled_at = clock_timestamp()
            WHERE (id = $1 OR joined_to = $1) AND status = 'accepted'
            RETURNING *)
         INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
         SELECT action, team_id, resource_type, resource_id,
            jsonb_build_object('status', status, 'error', error, 'audit_id', id)
         FROM entry WHERE id = $1",
        id.0,
        outcome.status.as_str(),
        outcome.error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Entry of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The team whose log shows it; `None` for a change of the platform.
    pub team_id: Option<TeamId>,
    /// `team`, or `platform` for administration.
    pub scope: String,
    /// Kind of the principal.
    pub actor_type: String,
    /// UUID of the user, key or host.
    pub actor_id: Option<Uuid>,
    /// Its name at the time of the change; of the control plane, the reason for which it acts.
    pub actor_name: Option<String>,
    /// Name of the action.
    pub action: String,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource, if there was one.
    pub resource_id: Option<String>,
    /// State of the change.
    pub status: AuditStatus,
    /// Why it failed or was refused.
    pub error: Option<String>,
    /// Further facts, as an object.
    pub metadata: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Returns a team's newest audit entries, newest first.
    pub async fn audit_list(&self, team: TeamId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type, resource_id,
                status, error, metadata AS "metadata: Json<Value>", created_at
               FROM audit_logs WHERE team_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"#,
            team.0,
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        rows.map(|row| {
            Ok(AuditEntry {
                id: AuditId(row.id),
                team_id: row.team_id.map(TeamId),
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
            })
        })
        .collect()
    }

    /// Writes that a change was permitted and not begun; nothing if its entry is there already, because it was begun.
    pub async fn audit_refuse(&self, intent: &AuditIntent, error: &str) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(insert(&mut connection, intent, AuditStatus::Refused, Some(&harmless(error)), EntryKind::Note)
            .await?)
    }

    /// Writes the entry of a request that finds what it wants, so that nothing has to be begun.
    pub async fn audit_note(&self, intent: &AuditIntent) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(insert(&mut connection, intent, AuditStatus::Succeeded, None, EntryKind::Note).await?)
    }

    /// Writes the entry of a request that joins the operation in flight whose entry is `joined`.
    pub async fn audit_join(&self, intent: &AuditIntent, joined: AuditId) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(insert(&mut connection, intent, AuditStatus::Accepted, None, EntryKind::Joined(joined)).await?)
    }

    /// Removes those of the `limit` oldest audit entries that are older than `age`; returns how many.
    pub async fn audit_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM audit_logs WHERE id IN (SELECT id FROM audit_logs ORDER BY id LIMIT $2)
                AND created_at < now() - make_interval(secs => $1)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
