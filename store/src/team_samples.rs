//! Samples of all teams: how they are taken, rolled up and removed.
//!
//! ```text
//!   metrics_sampler.slot ── moved forward by one server ─▶ capsules of all teams ─▶ sandbox_metrics_snapshots
//!                                                      └─▶ disks, templates       ─▶ sandbox_metrics_rollups
//! ```
//!
//! Time is divided into slots by Postgres' clock. Whichever server moves the slot forward takes its samples in the same
//! transaction: another server finds the slot taken, and if the first one ends in between, the slot is free again. Samples
//! of the slots between two that were taken are copies of the earlier one, if the pause was no longer than
//! [`BRIDGED_SEC`]; otherwise there are none.
//!
//! A trigger adds each sample to its roll-up, so the two always agree, and an hour that is over needs no further work.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::statistics::{
    BRIDGED_SEC, CapsuleGroup, ROLLUP_SEC, Reserved, SAMPLE_SEC, STORAGE_SEC, disk_mb,
};

use crate::{Store, StoreError};

const BYTES_PER_MB: u64 = 1024 * 1024;

/// Samples of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledSlot {
    /// Time of the samples.
    pub at: DateTime<Utc>,
    /// Teams with a sample.
    pub teams: u64,
    /// Samples that were copied into earlier slots, which no server has sampled.
    pub bridged: u64,
}

impl Store {
    /// Samples all teams for the present slot; `None` if that has been done.
    pub async fn teams_sample(&self) -> Result<Option<SampledSlot>, StoreError> {
        let seconds = f64::from(SAMPLE_SEC);
        // Without a lock, as most looks find nothing to do.
        let is_due = sqlx::query_scalar!(
            r#"SELECT slot < date_bin(make_interval(secs => $1), now(), 'epoch') AS "is_due!" FROM metrics_sampler"#,
            seconds,
        );
        if !is_due.fetch_one(&self.pool).await? {
            return Ok(None);
        }
        let mut transaction = self.pool.begin().await?;
        let claim = sqlx::query!(
            "UPDATE metrics_sampler
             SET previous = slot, slot = date_bin(make_interval(secs => $1), now(), 'epoch')
             WHERE slot < date_bin(make_interval(secs => $1), now(), 'epoch')
             RETURNING slot, previous",
            seconds,
        );
        let Some(claim) = claim.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        let (at, previous) = (claim.slot, claim.previous);
        let pause = at - previous;
        let bridged = if pause <= TimeDelta::seconds(BRIDGED_SEC.into()) {
            bridge(&mut transaction, previous, at).await?
        } else {
            0
        };
        let groups = groups(&mut transaction).await?;
        let teams = insert(&mut transaction, at, &groups).await?;
        if storage_slot(previous) != storage_slot(at) {
            measure_storage(&mut transaction, at, &groups).await?;
        }
        transaction.commit().await?;
        Ok(Some(SampledSlot { at, teams, bridged }))
    }

    /// Removes samples that are older than `age`, at most `limit`; returns how many.
    pub async fn samples_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM sandbox_metrics_snapshots WHERE id IN (
                SELECT id FROM sandbox_metrics_snapshots WHERE sampled_at < now() - make_interval(secs => $1)
                ORDER BY sampled_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }

    /// Removes roll-ups that are older than `age`, at most `limit`; returns how many.
    pub async fn rollups_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM sandbox_metrics_rollups WHERE (team_id, since) IN (
                SELECT team_id, since FROM sandbox_metrics_rollups
                WHERE since < now() - make_interval(secs => $1)
                ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }

    /// Removes samples and roll-ups of deleted teams, at most `limit` of each; returns how many.
    pub async fn statistics_of_deleted_teams_remove(&self, limit: u32) -> Result<u64, StoreError> {
        let samples = sqlx::query!(
            "DELETE FROM sandbox_metrics_snapshots WHERE id IN (
                SELECT old.id FROM teams CROSS JOIN LATERAL (
                    SELECT id FROM sandbox_metrics_snapshots WHERE team_id = teams.id LIMIT $1
                    FOR UPDATE SKIP LOCKED) AS old
                WHERE teams.deleted_at IS NOT NULL LIMIT $1)",
            i64::from(limit),
        );
        let samples = samples.execute(&self.pool).await?.rows_affected();
        let rollups = sqlx::query!(
            "DELETE FROM sandbox_metrics_rollups WHERE (team_id, since) IN (
                SELECT old.team_id, old.since FROM teams CROSS JOIN LATERAL (
                    SELECT team_id, since FROM sandbox_metrics_rollups WHERE team_id = teams.id LIMIT $1
                    FOR UPDATE SKIP LOCKED) AS old
                WHERE teams.deleted_at IS NOT NULL LIMIT $1)",
            i64::from(limit),
        );
        Ok(samples + rollups.execute(&self.pool).await?.rows_affected())
    }
}

/// Returns the number of the slot in which storage is measured once.
fn storage_slot(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(STORAGE_SEC.into())
}

/// Copies the samples of the slot `previous` into the slots between it and `at`; returns how many.
async fn bridge(
    connection: &mut PgConnection,
    previous: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let slot = TimeDelta::seconds(SAMPLE_SEC.into());
    let (first, last) = (previous + slot, at - slot);
    if first > last {
        return Ok(0);
    }
    let copied = sqlx::query!(
        "INSERT INTO sandbox_metrics_snapshots
            (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
         SELECT team_id, missing, running_count, vcpus_reserved, memory_mb_reserved
         FROM sandbox_metrics_snapshots,
            generate_series($2::timestamptz, $3, make_interval(secs => $4)) AS missing
         WHERE sampled_at = $1
         ON CONFLICT (team_id, sampled_at) DO NOTHING",
        previous,
        first,
        last,
        f64::from(SAMPLE_SEC),
    );
    Ok(copied.execute(connection).await?.rows_affected())
}

/// Returns the capsules of each team that is not deleted, by their state. Builds' capsules are among them.
async fn groups(connection: &mut PgConnection) -> Result<BTreeMap<Uuid, Vec<CapsuleGroup>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT team_id, status, operation, count(*) AS "count!", sum(vcpus) AS "vcpus!",
            sum(memory_mb) AS "memory_mb!", sum(disk_size_mb) AS "disk_mb!"
           FROM sandboxes JOIN teams ON teams.id = team_id
           WHERE destroyed_at IS NULL AND deleted_at IS NULL
           GROUP BY team_id, status, operation"#
    );
    let mut teams: BTreeMap<Uuid, Vec<CapsuleGroup>> = BTreeMap::new();
    for row in rows.fetch_all(connection).await? {
        teams.entry(row.team_id).or_default().push(CapsuleGroup {
            status: row.status.parse()?,
            operation: row.operation.as_deref().map(str::parse).transpose()?,
            // Counts and sums of positive numbers.
            count: row.count.unsigned_abs(),
            vcpus: row.vcpus.unsigned_abs(),
            memory_mb: row.memory_mb.unsigned_abs(),
            disk_mb: row.disk_mb.unsigned_abs(),
        });
    }
    Ok(teams)
}

/// Writes the samples of teams that have something running or paused; returns how many.
async fn insert(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    groups: &BTreeMap<Uuid, Vec<CapsuleGroup>>,
) -> Result<u64, StoreError> {
    let (mut teams, mut running, mut vcpus, mut memory_mb) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (team, groups) in groups {
        let reserved = Reserved::of(groups);
        if !reserved.is_nothing() {
            teams.push(*team);
            running.push(i32::try_from(reserved.running_count).unwrap_or(i32::MAX));
            vcpus.push(reserved.vcpus.cast_signed());
            memory_mb.push(reserved.memory_mb.cast_signed());
        }
    }
    if teams.is_empty() {
        return Ok(0);
    }
    let inserted = sqlx::query!(
        "INSERT INTO sandbox_metrics_snapshots
            (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
         SELECT team, $1, running, vcpus, memory
         FROM unnest($2::uuid[], $3::int[], $4::bigint[], $5::bigint[]) AS sample (team, running, vcpus, memory)
         ON CONFLICT (team_id, sampled_at) DO NOTHING",
        at,
        &teams,
        &running,
        &vcpus,
        &memory_mb,
    );
    Ok(inserted.execute(connection).await?.rows_affected())
}

/// Adds the disks and templates of all teams to their roll-ups.
async fn measure_storage(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    groups: &BTreeMap<Uuid, Vec<CapsuleGroup>>,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT team_id, sum(size_bytes)::bigint AS "size_bytes!"
           FROM templates JOIN teams ON teams.id = team_id
           WHERE status = 'ready' AND purpose = 'template' AND deleted_at IS NULL
           GROUP BY team_id"#
    );
    let mut stored: BTreeMap<Uuid, (u64, u64)> =
        groups.iter().map(|(team, groups)| (*team, (disk_mb(groups), 0))).collect();
    for row in rows.fetch_all(&mut *connection).await? {
        stored.entry(row.team_id).or_default().1 = row.size_bytes.unsigned_abs().div_ceil(BYTES_PER_MB);
    }
    stored.retain(|_, sizes| *sizes != (0, 0));
    let seconds = |size_mb: u64| (size_mb * u64::from(STORAGE_SEC)).cast_signed();
    let teams: Vec<Uuid> = stored.keys().copied().collect();
    let disks: Vec<i64> = stored.values().map(|(disk_mb, _)| seconds(*disk_mb)).collect();
    let templates: Vec<i64> = stored.values().map(|(_, template_mb)| seconds(*template_mb)).collect();
    sqlx::query!(
        "INSERT INTO sandbox_metrics_rollups AS known (team_id, since, disk_mb_seconds, template_mb_seconds)
         SELECT team, date_bin(make_interval(secs => $5), $1, 'epoch'), disk, template
         FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS stored (team, disk, template)
         ON CONFLICT (team_id, since) DO UPDATE SET
            disk_mb_seconds = known.disk_mb_seconds + EXCLUDED.disk_mb_seconds,
            template_mb_seconds = known.template_mb_seconds + EXCLUDED.template_mb_seconds",
        at,
        &teams,
        &disks,
        &templates,
        f64::from(ROLLUP_SEC),
    )
    .execute(connection)
    .await?;
    Ok(())
}
