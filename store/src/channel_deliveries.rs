//! Deliveries of events to channels.
//!
//! ```text
//!   outbox ── fan out, one server at a time ──▶ pending ── claim ──▶ leased ─┬─▶ delivered
//!                                               ▲ due later ◀── failed ──────┼─▶ failed, after a day
//!                                               └── lease is over ───────────┘   dropped, with the channel
//! ```
//!
//! The lock of the one row of `channel_cursor` makes a server the reader of the outbox, and the cursor moves in the
//! transaction that writes the deliveries: each event is turned into deliveries once, in the order of the outbox. Of the
//! pending deliveries of a channel and a resource only the first has `due_at`; whoever settles it, under the lock of the
//! channel's row, makes the next one due. Fanning out holds the same lock, so none is left without.
//!
//! A claim is a lease, which ends by Postgres' clock; its number fences the outcome. Claims of all servers are in a row, so
//! the limits for channels and teams are exact.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    channel::{
        ATTEMPTED_FOR, FAILING_FOR, MAX_WAITING, MIN_FAILURES, SigningSecret, Target, config::ChannelConfig,
        message::Notification,
    },
    ids::{ChannelId, DeliveryId, EventId, ServerId, TeamId},
};

use crate::{Store, StoreError, channels};

/// Key of the lock that puts claims in a row: the word `channels` in ASCII.
const CLAIMS: i64 = 0x6368_616e_6e65_6c73;

/// Limits of a claim.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLimits {
    /// Deliveries that are claimed.
    pub count: u32,
    /// Leased deliveries of one channel.
    pub per_channel: u32,
    /// Leased deliveries of one team.
    pub per_team: u32,
    /// Time after which the delivery is due again.
    pub lease: Duration,
}

/// A delivery that this server has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    seq: i64,
    /// Number of the claim, from 1.
    pub attempt: u32,
    /// Its id.
    pub id: DeliveryId,
    /// The channel.
    pub channel: ChannelId,
    revision: i64,
    /// Destination; `None` if the database holds one that this version does not know.
    pub target: Option<Target>,
    /// The event.
    pub notification: Notification,
}

/// Outcome of an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Another attempt follows.
    Retry,
    /// The delivery is given up.
    GivenUp,
    /// The channel is switched off.
    Disabled,
    /// The claim was over, or the channel is gone: nothing was written.
    Stale,
}

/// Consequence of a failure for the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The receiver may recover.
    Fails,
    /// The receiver says that it is gone for good.
    Gone,
}

impl Store {
    /// Turns the next events, at most `limit`, into deliveries. Returns how many events were read: 0 if there are none, or
    /// another server reads them.
    pub async fn deliveries_fan_out(&self, limit: u32) -> Result<u64, StoreError> {
        // Without a lock, which would take a number of a transaction each time.
        let waiting = sqlx::query_scalar!(
            r#"SELECT (SELECT xid::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) FROM channel_cursor)
                OR EXISTS (SELECT FROM outbox WHERE notification IS NOT NULL
                    AND (xid, id) > ((SELECT xid::text::xid8 FROM channel_cursor), (SELECT id FROM channel_cursor))
                    AND xid < pg_snapshot_xmin(pg_current_snapshot())) AS "waiting!""#
        );
        if !waiting.fetch_one(&self.pool).await? {
            return Ok(0);
        }
        let mut transaction = self.pool.begin().await?;
        // In a database that was restored the numbers of transactions may begin anew: so does the reader.
        let cursor = sqlx::query!(
            r#"SELECT CASE WHEN is_of_this_cluster THEN xid ELSE 0 END AS "xid!",
                CASE WHEN is_of_this_cluster THEN id ELSE 0 END AS "id!"
               FROM (SELECT xid, id, xid::text::xid8 < pg_snapshot_xmax(pg_current_snapshot()) AS is_of_this_cluster
                     FROM channel_cursor FOR UPDATE SKIP LOCKED) AS cursor"#
        );
        let Some(cursor) = cursor.fetch_optional(&mut *transaction).await? else { return Ok(0) };
        let events = sqlx::query!(
            r#"SELECT xid::text::bigint AS "xid!", id, team_id FROM outbox
               WHERE notification IS NOT NULL AND (xid, id) > ($1::bigint::text::xid8, $2)
                AND xid < pg_snapshot_xmin(pg_current_snapshot())
               ORDER BY outbox.xid, id LIMIT $3"#,
            cursor.xid,
            cursor.id,
            i64::from(limit),
        );
        let events = events.fetch_all(&mut *transaction).await?;
        let Some(last) = events.last() else { return Ok(0) };
        // The locks keep other servers from settling deliveries of these channels meanwhile.
        let teams: Vec<Uuid> = events.iter().filter_map(|event| event.team_id).collect();
        let is_of_platform = events.iter().any(|event| event.team_id.is_none());
        let full = sqlx::query!(
            r#"WITH locked AS MATERIALIZED (
                SELECT id, team_id FROM channels
                WHERE disabled_at IS NULL AND (team_id = ANY($1)
                    OR ($2 AND configured_by IN (SELECT id FROM users WHERE is_admin)))
                ORDER BY id FOR NO KEY UPDATE)
               SELECT id, team_id, (SELECT count(*) FROM (SELECT FROM channel_deliveries
                    WHERE channel_id = locked.id AND status = 'pending' LIMIT $3) AS pending) >= $3 AS "is_full!"
               FROM locked"#,
            &teams,
            is_of_platform,
            i64::from(MAX_WAITING),
        );
        for channel in full.fetch_all(&mut *transaction).await?.into_iter().filter(|channel| channel.is_full)
        {
            let reason = format!("{MAX_WAITING} deliveries wait, as the receiver is too slow or fails");
            channels::disable(&mut transaction, TeamId(channel.team_id), ChannelId(channel.id), &reason)
                .await?;
        }
        insert(&mut transaction, (cursor.xid, cursor.id), (last.xid, last.id)).await?;
        sqlx::query!("UPDATE channel_cursor SET xid = $1, id = $2", last.xid, last.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(events.len() as u64)
    }

    /// Claims deliveries that are due for `server`, in turn between channels.
    pub async fn deliveries_claim(
        &self,
        server: ServerId,
        limits: ClaimLimits,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let due = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM channel_deliveries WHERE due_at <= now()) AS "due!""#
        );
        if !due.fetch_one(&self.pool).await? {
            return Ok(Vec::new());
        }
        let mut transaction = self.pool.begin().await?;
        let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, CLAIMS);
        if !locked.fetch_one(&mut *transaction).await? {
            return Ok(Vec::new());
        }
        // From one channel to the next by the index: a channel with many deliveries costs no more than one with few.
        let rows = sqlx::query!(
            r#"WITH RECURSIVE waiting AS (
                (SELECT channel_id FROM channel_deliveries WHERE due_at IS NOT NULL ORDER BY channel_id LIMIT 1)
                UNION ALL
                SELECT (SELECT d.channel_id FROM channel_deliveries d
                        WHERE d.due_at IS NOT NULL AND d.channel_id > waiting.channel_id ORDER BY d.channel_id LIMIT 1)
                FROM waiting WHERE waiting.channel_id IS NOT NULL),
               lanes AS (
                SELECT c.id, c.team_id, (SELECT count(*) FROM channel_deliveries d
                    WHERE d.channel_id = c.id AND d.leased_by IS NOT NULL AND d.due_at > now()) AS busy
                FROM waiting JOIN channels c ON c.id = waiting.channel_id),
               places AS (
                SELECT due.seq, lanes.team_id, due.place, due.due_at
                FROM lanes, LATERAL (
                    SELECT seq, due_at, row_number() OVER (ORDER BY due_at, seq) AS place FROM channel_deliveries
                    WHERE channel_id = lanes.id AND due_at <= now()
                    ORDER BY due_at, seq LIMIT GREATEST($2::bigint - lanes.busy, 0)) AS due),
               fair AS (
                SELECT places.seq, places.place, places.due_at
                FROM (SELECT *, row_number() OVER (PARTITION BY team_id ORDER BY place, due_at, seq) AS team_place
                      FROM places) AS places
                WHERE team_place <= $3::bigint - (
                    SELECT COALESCE(sum(busy), 0)::bigint FROM lanes WHERE lanes.team_id = places.team_id)
                ORDER BY places.place, places.due_at, places.seq LIMIT $1)
               UPDATE channel_deliveries d
               SET leased_by = $4, due_at = now() + make_interval(secs => $5), attempts = attempts + 1
               FROM fair, channels c
               WHERE d.seq = fair.seq AND c.id = d.channel_id
               RETURNING d.seq, d.attempts, d.id, d.channel_id, d.team_id, d.event_id, d.event, d.created_at,
                d.data AS "data: Json<Map<String, Value>>", c.revision, c.provider, c.secret,
                c.config AS "config: Json<BTreeMap<String, String>>""#,
            i64::from(limits.count),
            i64::from(limits.per_channel),
            i64::from(limits.per_team),
            server.0,
            limits.lease.as_secs_f64(),
        );
        let rows = rows.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        let claimed = rows.into_iter().map(|row| {
            let config = ChannelConfig::read(row.provider.parse()?, &row.config.0).ok();
            Ok(ClaimedDelivery {
                seq: row.seq,
                attempt: row.attempts.unsigned_abs(),
                id: DeliveryId(row.id),
                channel: ChannelId(row.channel_id),
                revision: row.revision,
                target: config.map(|config| Target { config, secret: row.secret.map(SigningSecret) }),
                notification: Notification {
                    id: EventId(row.event_id),
                    event: row.event,
                    created_at: row.created_at,
                    team_id: TeamId(row.team_id),
                    data: row.data.0,
                },
            })
        });
        claimed.collect()
    }

    /// Writes that a delivery arrived; the next one of its resource is due. Returns false if the claim was over.
    pub async fn delivery_succeeded(&self, delivery: &ClaimedDelivery) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if lock(&mut transaction, delivery.channel).await?.is_none() {
            return Ok(false);
        }
        if !end(&mut transaction, delivery, "delivered", None).await? {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE channels SET last_error = NULL, failing_since = NULL, failures = 0
             WHERE id = $1 AND disabled_at IS NULL AND failures > 0",
            delivery.channel.0,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Writes that an attempt failed: the delivery is due again after `retry_after`, or given up after a day. A channel whose
    /// receiver is gone, or fails for too long, is switched off.
    pub async fn delivery_failed(
        &self,
        delivery: &ClaimedDelivery,
        receiver: Receiver,
        error: &str,
        retry_after: Duration,
    ) -> Result<AfterFailure, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(revision) = lock(&mut transaction, delivery.channel).await? else {
            return Ok(AfterFailure::Stale);
        };
        let retried = sqlx::query_scalar!(
            r#"UPDATE channel_deliveries SET due_at = now() + make_interval(secs => $3), leased_by = NULL, last_error = $4
               WHERE seq = $1 AND attempts = $2 AND status = 'pending'
               RETURNING created_at < now() - make_interval(secs => $5) AS "is_over!""#,
            delivery.seq,
            delivery.attempt.cast_signed(),
            retry_after.as_secs_f64(),
            error,
            ATTEMPTED_FOR.as_secs_f64(),
        );
        let Some(is_over) = retried.fetch_optional(&mut *transaction).await? else {
            return Ok(AfterFailure::Stale);
        };
        let mut after = AfterFailure::Retry;
        // The failure of a destination that was replaced meanwhile says nothing about the new one.
        if revision == delivery.revision && fail(&mut transaction, delivery, receiver, error).await? {
            after = AfterFailure::Disabled;
        } else if is_over {
            end(&mut transaction, delivery, "failed", Some(error)).await?;
            after = AfterFailure::GivenUp;
        }
        transaction.commit().await?;
        Ok(after)
    }

    /// Ends the claims of a server that does not carry them out any more.
    pub async fn deliveries_release(&self, server: ServerId) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE channel_deliveries SET leased_by = NULL, due_at = now() WHERE leased_by = $1",
            server.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Removes at most `limit` of the deliveries that ended longer than `age` ago; returns how many.
    pub async fn deliveries_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM channel_deliveries WHERE seq IN (
                SELECT seq FROM channel_deliveries WHERE settled_at < now() - make_interval(secs => $1)
                ORDER BY settled_at LIMIT $2)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}

/// Writes the deliveries of the events behind one place and up to another one. The events of the platform's hosts go to
/// channels whose destination an administrator of the platform has set.
async fn insert(
    connection: &mut PgConnection,
    after: (i64, i64),
    until: (i64, i64),
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH events AS MATERIALIZED (
            SELECT o.xid, o.id, o.notification, o.team_id, o.resource_type, o.resource_id, o.created_at,
                o.payload - '{operation,generation,audit_id,build,change}'::text[] || jsonb_build_object(
                    CASE o.resource_type WHEN 'template' THEN 'name' ELSE o.resource_type || '_id' END,
                    o.resource_id) AS data,
                gen_random_uuid() AS event_id
            FROM outbox o
            WHERE o.notification IS NOT NULL AND (o.xid, o.id) > ($1::bigint::text::xid8, $2)
                AND (o.xid, o.id) <= ($3::bigint::text::xid8, $4)),
         deliveries AS (
            SELECT e.*, c.id AS channel, c.team_id AS channel_team,
                e.resource_type || '/' || e.resource_id AS resource,
                row_number() OVER (PARTITION BY c.id, e.resource_type, e.resource_id ORDER BY e.xid, e.id) AS place
            FROM events e
            JOIN channels c ON c.disabled_at IS NULL AND e.notification = ANY(c.events) AND c.listens_since <= e.created_at
                AND CASE WHEN e.team_id IS NOT NULL THEN c.team_id = e.team_id
                    ELSE EXISTS (SELECT FROM users u JOIN team_members m ON m.user_id = u.id
                        WHERE u.id = c.configured_by AND u.is_admin AND u.is_active AND m.team_id = c.team_id) END)
         INSERT INTO channel_deliveries (id, channel_id, team_id, event_id, event, resource, data, created_at, due_at)
         SELECT gen_random_uuid(), channel, channel_team, event_id, notification, resource, data, created_at,
            CASE WHEN place = 1 AND NOT EXISTS (SELECT FROM channel_deliveries d
                WHERE d.channel_id = channel AND d.resource = deliveries.resource AND d.status = 'pending')
            THEN now() END
         FROM deliveries ORDER BY xid, id, channel",
        after.0,
        after.1,
        until.0,
        until.1,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks a channel; returns its revision.
async fn lock(connection: &mut PgConnection, channel: ChannelId) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("SELECT revision FROM channels WHERE id = $1 FOR NO KEY UPDATE", channel.0)
        .fetch_optional(connection)
        .await
}

/// Ends a delivery, unless its claim is over; the next one of its resource is due. The caller holds the channel's lock.
async fn end(
    connection: &mut PgConnection,
    delivery: &ClaimedDelivery,
    status: &str,
    error: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query_scalar!(
        "UPDATE channel_deliveries SET status = $3, last_error = $4, due_at = NULL, leased_by = NULL, settled_at = now()
         WHERE seq = $1 AND attempts = $2 AND status = 'pending'
         RETURNING resource",
        delivery.seq,
        delivery.attempt.cast_signed(),
        status,
        error,
    );
    let Some(resource) = ended.fetch_optional(&mut *connection).await? else { return Ok(false) };
    sqlx::query!(
        "UPDATE channel_deliveries SET due_at = now()
         WHERE seq = (SELECT min(seq) FROM channel_deliveries
            WHERE channel_id = $1 AND resource = $2 AND status = 'pending')",
        delivery.channel.0,
        resource,
    )
    .execute(connection)
    .await?;
    Ok(true)
}

/// Counts a failure of a channel; returns true if it is switched off. The caller holds the channel's lock.
async fn fail(
    connection: &mut PgConnection,
    delivery: &ClaimedDelivery,
    receiver: Receiver,
    error: &str,
) -> Result<bool, sqlx::Error> {
    let is_dead = sqlx::query_scalar!(
        r#"UPDATE channels SET failures = failures + 1, failing_since = COALESCE(failing_since, now()), last_error = $2
           WHERE id = $1 AND disabled_at IS NULL
           RETURNING failures >= $3 AND failing_since < now() - make_interval(secs => $4) AS "is_dead!""#,
        delivery.channel.0,
        error,
        MIN_FAILURES.cast_signed(),
        FAILING_FOR.as_secs_f64(),
    );
    let is_dead = is_dead.fetch_optional(&mut *connection).await?.unwrap_or(false);
    let reason = match receiver {
        Receiver::Gone => format!("{error}: the receiver is gone for good"),
        Receiver::Fails if is_dead => {
            format!(
                "no delivery has arrived for {} days; the last error: {error}",
                FAILING_FOR.as_secs() / 86_400
            )
        }
        Receiver::Fails => return Ok(false),
    };
    channels::disable(connection, delivery.notification.team_id, delivery.channel, &reason).await?;
    Ok(true)
}
