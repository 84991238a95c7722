//! The outbox: events, written in the transaction of what they tell of, and read in an order that misses none.
//!
//! ```text
//!   transaction 7 ── insert ─────────────── commit          a reader at ▲ sees 8 committed and 7 open:
//!   transaction 8 ───── insert ── commit  ▲                 it stops before 7, and reads both later
//! ```
//!
//! Transactions commit in another order than they take their numbers, so a reader that went by a sequence would skip the
//! event of one that commits late. Rows carry the number of their transaction; a reader goes by it, and stops before the
//! oldest transaction that is still open, behind which nothing can appear any more. A transaction that stays open for long,
//! also one of another database on the same server, holds readers up, and loses nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use wrenn_domain::ids::TeamId;

use crate::{Store, StoreError};

/// A place in the outbox: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct OutboxCursor {
    /// Number of the transaction of the last event.
    pub xid: i64,
    /// Number of that event.
    pub id: i64,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// The place behind it.
    pub cursor: OutboxCursor,
    /// Name of the event, for example `capsule.changed` or the name of an action.
    pub event: String,
    /// The team that it concerns; `None` for the platform.
    pub team_id: Option<TeamId>,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource, if it has one.
    pub resource_id: Option<String>,
    /// Facts, as an object.
    pub payload: Value,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Returns the events behind `after`, at most `limit`, in the order of their transactions. Whatever is not returned
    /// yet, because a transaction is open, has a place behind all that is.
    pub async fn outbox_read(&self, after: OutboxCursor, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT xid::text::bigint AS "xid!", id, event, team_id, resource_type, resource_id,
                payload AS "payload: Json<Value>", created_at
               FROM outbox
               WHERE (xid, id) > ($1::bigint::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
               ORDER BY outbox.xid, id LIMIT $3"#,
            after.xid,
            after.id,
            i64::from(limit),
        );
        let events = rows.fetch_all(&self.pool).await?.into_iter().map(|row| OutboxEvent {
            cursor: OutboxCursor { xid: row.xid, id: row.id },
            event: row.event,
            team_id: row.team_id.map(TeamId),
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            payload: row.payload.0,
            created_at: row.created_at,
        });
        Ok(events.collect())
    }

    /// Removes those of the `limit` oldest events that are older than `age`; returns how many.
    pub async fn outbox_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM outbox WHERE (xid, id) IN (SELECT xid, id FROM outbox ORDER BY xid, id LIMIT $2)
                AND created_at < now() - make_interval(secs => $1)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
