//! Statistics and usage of one team, as they are read.
//!
//! Short ranges are read from samples, which Postgres groups by bucket so that a day is some hundred rows; the longest
//! range, peaks and usage are read from roll-ups. The rules for buckets are those of [`wrenn_domain::statistics`], which
//! groups once more.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use wrenn_domain::{
    ids::TeamId,
    statistics::{CapsuleGroup, Reserved, Sample, UsageDay, UsagePeriod, UsageTotals, Window},
};

use crate::{Store, StoreError};

impl Store {
    /// Returns the time of the database.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(&self.pool).await?)
    }

    /// Returns the reservations for a team, and the time at which they were counted.
    pub async fn team_reserved(&self, team: TeamId) -> Result<(DateTime<Utc>, Reserved), StoreError> {
        // A team without capsules has one row, for the time.
        let rows = sqlx::query!(
            r#"SELECT now() AS "now!", status AS "status?", operation AS "operation?", count AS "count?",
                vcpus AS "vcpus?", memory_mb AS "memory_mb?", disk_mb AS "disk_mb?"
               FROM (SELECT) AS always LEFT JOIN (
                SELECT status, operation, count(*) AS count, sum(vcpus) AS vcpus, sum(memory_mb) AS memory_mb,
                    sum(disk_size_mb) AS disk_mb
                FROM sandboxes WHERE team_id = $1 AND destroyed_at IS NULL GROUP BY status, operation) AS groups ON true"#,
            team.0,
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let now = rows.first().map(|row| row.now).ok_or(sqlx::Error::RowNotFound)?;
        let mut groups = Vec::new();
        for row in rows {
            let Some(status) = row.status else { continue };
            let sum = |value: Option<i64>| value.unwrap_or_default().unsigned_abs();
            groups.push(CapsuleGroup {
                status: status.parse()?,
                operation: row.operation.as_deref().map(str::parse).transpose()?,
                count: sum(row.count),
                vcpus: sum(row.vcpus),
                memory_mb: sum(row.memory_mb),
                disk_mb: sum(row.disk_mb),
            });
        }
        Ok((now, Reserved::of(&groups)))
    }

    /// Returns the largest of a team's samples in each bucket of a window. Buckets without samples are left out.
    pub async fn team_samples(&self, team: TeamId, window: &Window) -> Result<Vec<Sample>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT date_bin(make_interval(secs => $4), sampled_at, 'epoch') AS "at!",
                max(running_count) AS "running_count!", max(vcpus_reserved) AS "vcpus!",
                max(memory_mb_reserved) AS "memory_mb!"
               FROM sandbox_metrics_snapshots WHERE team_id = $1 AND sampled_at >= $2 AND sampled_at < $3
               GROUP BY 1"#,
            team.0,
            window.since(),
            window.until(),
            window.bucket().as_seconds_f64(),
        );
        let samples = rows.fetch_all(&self.pool).await?.into_iter().map(|row| Sample {
            at: row.at,
            // CHECK constraints keep the numbers from being negative.
            reserved: Reserved {
                running_count: row.running_count.unsigned_abs().into(),
                vcpus: row.vcpus.unsigned_abs(),
                memory_mb: row.memory_mb.unsigned_abs(),
            },
        });
        Ok(samples.collect())
    }

    /// Returns the largest of a team's samples in each roll-up of a window whose buckets are not shorter than roll-ups.
    pub async fn team_rollups(&self, team: TeamId, window: &Window) -> Result<Vec<Sample>, StoreError> {
        let rows = sqlx::query!(
            "SELECT since, running_max, vcpus_max, memory_mb_max FROM sandbox_metrics_rollups
             WHERE team_id = $1 AND since >= $2 AND since < $3",
            team.0,
            window.since(),
            window.until(),
        );
        let samples = rows.fetch_all(&self.pool).await?.into_iter().map(|row| Sample {
            at: row.since,
            reserved: Reserved {
                running_count: row.running_max.unsigned_abs().into(),
                vcpus: row.vcpus_max.unsigned_abs(),
                memory_mb: row.memory_mb_max.unsigned_abs(),
            },
        });
        Ok(samples.collect())
    }

    /// Returns a team's usage of the days of a period, oldest first. Days without any are left out.
    pub async fn team_usage(&self, team: TeamId, period: &UsagePeriod) -> Result<Vec<UsageDay>, StoreError> {
        let midnight = |date: chrono::NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        let rows = sqlx::query!(
            r#"SELECT (since AT TIME ZONE 'UTC')::date AS "date!", sum(vcpu_seconds)::bigint AS "vcpu_seconds!",
                sum(memory_mb_seconds)::bigint AS "memory_mb_seconds!",
                sum(disk_mb_seconds)::bigint AS "disk_mb_seconds!",
                sum(template_mb_seconds)::bigint AS "template_mb_seconds!"
               FROM sandbox_metrics_rollups WHERE team_id = $1 AND since >= $2 AND since < $3
               GROUP BY 1 ORDER BY 1"#,
            team.0,
            midnight(period.from()),
            midnight(period.to()) + TimeDelta::days(1),
        );
        let days = rows.fetch_all(&self.pool).await?.into_iter().map(|row| UsageDay {
            date: row.date,
            totals: UsageTotals {
                vcpu_seconds: row.vcpu_seconds.unsigned_abs(),
                memory_mb_seconds: row.memory_mb_seconds.unsigned_abs(),
                disk_mb_seconds: row.disk_mb_seconds.unsigned_abs(),
                template_mb_seconds: row.template_mb_seconds.unsigned_abs(),
            },
        });
        Ok(days.collect())
    }
}
