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
//!
//! Old events are removed. `outbox_horizon` says up to where, so a reader that was away for longer learns that it may have
//! missed some. In a database that was restored into another cluster the numbers of transactions begin anew: a place that
//! is ahead of all of them counts as lost, too.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    event::{EventRow, EventScope, EventTypes},
    ids::TeamId,
};

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

/// Rows that a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxFilter {
    /// Types of events to which the rows lead.
    pub types: EventTypes,
    /// The rows of a team and of the platform's own team, or all rows.
    pub scope: EventScope,
}

/// Rows that were read, of all that are behind a place.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxPortion {
    /// The rows that are wanted, each with the place behind it.
    pub rows: Vec<(OutboxCursor, EventRow)>,
    /// The place behind everything that was looked at.
    pub end: OutboxCursor,
    /// Position of that place among all that can be read.
    pub reach: Reach,
    /// Relation of the first row to the place behind which was read.
    pub continuity: Continuity,
}

/// Position of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// There is more to read.
    Partial,
    /// Everything is read that was committed, and cannot be preceded any more.
    End,
}

/// Relation of what was read to what was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// All rows in between were returned.
    Unbroken,
    /// Events in between may have been removed, or the place is none of this database.
    Broken,
}

/// Returns the place before the transaction `xid`: behind everything of those with a smaller number.
const fn before(xid: i64) -> OutboxCursor {
    OutboxCursor { xid: xid - 1, id: i64::MAX }
}

impl Store {
    /// Returns the place behind everything that can be read now.
    pub async fn outbox_end(&self) -> Result<OutboxCursor, StoreError> {
        let open =
            sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "open!""#);
        Ok(before(open.fetch_one(&self.pool).await?))
    }

    /// Looks at the next `limit` rows behind `after`, up to `until` if that is given, and returns those that are wanted. One
    /// statement looks at no more rows than that, however few it returns.
    pub async fn outbox_portion(
        &self,
        after: OutboxCursor,
        until: Option<OutboxCursor>,
        filter: OutboxFilter,
        limit: u32,
    ) -> Result<OutboxPortion, StoreError> {
        let team = match filter.scope {
            EventScope::Team(team) => Some(team.0),
            EventScope::Platform => None,
        };
        let last = until.unwrap_or(OutboxCursor { xid: i64::MAX, id: i64::MAX });
        let names: Vec<String> = filter.types.row_names().into_iter().map(str::to_owned).collect();
        let found = sqlx::query!(
            r#"WITH portion AS MATERIALIZED (
                SELECT * FROM outbox
                WHERE (xid, id) > ($1::bigint::text::xid8, $2) AND (xid, id) <= ($3::bigint::text::xid8, $4)
                    AND xid < pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY outbox.xid, id LIMIT $5),
             place AS (
                SELECT pg_snapshot_xmin(pg_current_snapshot()) AS open, (SELECT count(*) FROM portion) AS seen,
                    $1::bigint::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) OR EXISTS (
                        SELECT FROM outbox_horizon WHERE (xid, id) > ($1::bigint::text::xid8, $2)
                            AND xid < pg_snapshot_xmax(pg_current_snapshot())) AS is_broken)
             SELECT open::text::bigint AS "open!", seen AS "seen!", is_broken AS "is_broken!",
                last.xid::text::bigint AS "last_xid?", last.id AS "last_id?",
                wanted.xid::text::bigint AS "xid?", wanted.id AS "id?", event AS "event?", team_id AS "team_id?",
                resource_type AS "resource_type?", resource_id AS "resource_id?", payload AS "payload?: Json<Value>",
                created_at AS "created_at?"
             FROM place
             LEFT JOIN (SELECT xid, id FROM portion ORDER BY portion.xid DESC, id DESC LIMIT 1) AS last ON true
             LEFT JOIN portion AS wanted ON wanted.event = ANY($6)
                AND ($7::uuid IS NULL OR wanted.team_id IN ($7, $8))
             ORDER BY wanted.xid, wanted.id"#,
            after.xid,
            after.id,
            last.xid,
            last.id,
            i64::from(limit),
            &names,
            team,
            TeamId::PLATFORM.0,
        );
        let found = found.fetch_all(&self.pool).await?;
        let mut portion = OutboxPortion {
            rows: Vec::new(),
            end: after,
            reach: Reach::Partial,
            continuity: Continuity::Unbroken,
        };
        for row in found {
            if row.is_broken {
                portion.continuity = Continuity::Broken;
            }
            match (row.last_xid, row.last_id) {
                (Some(xid), Some(id)) if row.seen == i64::from(limit) => {
                    portion.end = OutboxCursor { xid, id }
                }
                _ => {
                    portion.reach = Reach::End;
                    portion.end = after.max(last.min(before(row.open)));
                }
            }
            let (Some(xid), Some(id)) = (row.xid, row.id) else { continue };
            let (Some(name), Some(resource_type)) = (row.event, row.resource_type) else { continue };
            let (Some(payload), Some(created_at)) = (row.payload, row.created_at) else { continue };
            let team_id = row.team_id.map(|team: Uuid| TeamId(team));
            let resource_id = row.resource_id;
            let payload = payload.0;
            let event = EventRow { name, team_id, resource_type, resource_id, payload, created_at };
            portion.rows.push((OutboxCursor { xid, id }, event));
        }
        Ok(portion)
    }

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
        let removed = sqlx::query_scalar!(
            r#"WITH removed AS (
                DELETE FROM outbox WHERE (xid, id) IN (SELECT xid, id FROM outbox ORDER BY xid, id LIMIT $2)
                    AND created_at < now() - make_interval(secs => $1)
                RETURNING xid, id),
             horizon AS (
                UPDATE outbox_horizon SET xid = last.xid, id = last.id
                FROM (SELECT xid, id FROM removed ORDER BY removed.xid DESC, id DESC LIMIT 1) AS last
                WHERE (last.xid, last.id) > (outbox_horizon.xid, outbox_horizon.id)
                    OR outbox_horizon.xid >= pg_snapshot_xmax(pg_current_snapshot()))
             SELECT count(*) AS "removed!" FROM removed"#,
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(removed.fetch_one(&self.pool).await?.unsigned_abs())
    }
}
