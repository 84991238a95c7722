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
//! statements: a function of it in the database is planned anew at each call. An entry and those that joined it are updated
//! apart: for both conditions at once Postgres reads the whole table, as long as it believes it to be small.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditOutcome, AuditStatus, harmless},
    host::Attachment,
    ids::AuditId,
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

/// `query!` that carries out `$change` and writes an entry for each row that it returns, with the event of a change, in one
/// statement. `$change` has the parameters from `$15` on.
///
/// An entry that is written already stays as it is, unless it is a refusal and the change was made after all. The statement
/// affects as many rows as it writes events.
macro_rules! change {
    ($change:literal, $intent:expr, $status:expr, $error:expr, $kind:expr $(, $argument:expr)* $(,)?) => {{
        let (intent, kind): (&wrenn_domain::audit::AuditIntent, $crate::audit::EntryKind) = ($intent, $kind);
        let spec = intent.action.spec();
        sqlx::query!(
            "WITH changed AS (" + $change + "),
             entry AS (
                INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type,
                    resource_id, status, error, metadata, settled_at, joined_to)
                SELECT $1, $2, $3, $4, $5, CASE $4::text
                        WHEN 'user' THEN (SELECT name FROM users WHERE users.id = $5)
                        WHEN 'api_key' THEN (SELECT name FROM api_keys WHERE api_keys.id = $5)
                        ELSE $6 END, $7, $8, $9, $10, $11, $12,
                    CASE WHEN $10 <> 'accepted' THEN clock_timestamp() END, $14
                FROM changed
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
            $status.as_str(),
            $error,
            sqlx::types::Json(&intent.metadata) as _,
            kind == $crate::audit::EntryKind::Change,
            kind.joined_to(),
            $($argument),*
        )
    }};
}
pub(crate) use change;

impl EntryKind {
    pub(crate) fn joined_to(self) -> Option<Uuid> {
        match self {
            Self::Joined(id) => Some(id.0),
            Self::Change | Self::Note => None,
        }
    }
}

/// Writes an entry in the transaction of the change, as [`change!`] does.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    intent: &AuditIntent,
    status: AuditStatus,
    error: Option<&str>,
    kind: EntryKind,
) -> Result<(), sqlx::Error> {
    change!("SELECT", intent, status, error, kind).execute(connection).await?;
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
            WHERE id = $1 AND status = 'accepted'
            RETURNING *),
         joined AS (
            UPDATE audit_logs SET status = $2, error = $3, settled_at = clock_timestamp()
            WHERE joined_to = $1 AND status = 'accepted')
         INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
         SELECT action, team_id, resource_type, resource_id,
            jsonb_build_object('status', status, 'error', error, 'audit_id', id)
         FROM entry",
        id.0,
        outcome.status.as_str(),
        outcome.error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
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

    /// Writes the entry of a request that joins the operation in flight whose entry is `joined`; returns false, and writes
    /// nothing, if the host is not attached so any more. Until the entry is written the host stays attached, so whoever
    /// settles the operation finds the entry.
    pub async fn audit_join(
        &self,
        intent: &AuditIntent,
        joined: AuditId,
        attachment: Attachment,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let attached = sqlx::query_scalar!(
            "SELECT id FROM hosts WHERE id = $1 AND attached_to = $2 AND attachment_epoch = $3 FOR SHARE",
            attachment.host.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
        );
        if attached.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(false);
        }
        insert(&mut transaction, intent, AuditStatus::Accepted, None, EntryKind::Joined(joined)).await?;
        transaction.commit().await?;
        Ok(true)
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
