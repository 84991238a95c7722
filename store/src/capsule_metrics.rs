//! Measurements of capsules whose machine does not run: one packed row for each tier.
//!
//! Only the host of a capsule hands them over, and only through the server that speaks for it. Nothing here reads the bytes.

use std::time::Duration;

use wrenn_domain::{host::Attachment, ids::SandboxId, metrics::Tier};

use crate::{Store, StoreError};

/// Outcome of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsSaved {
    /// They are kept.
    Stored,
    /// The host has no such capsule.
    Unknown,
    /// Another server speaks for the host.
    NotHeld,
}

impl Store {
    /// Keeps all measurements of a capsule of this host, in place of those that were kept before.
    pub async fn capsule_metrics_save(
        &self,
        attachment: Attachment,
        id: SandboxId,
        tiers: &[(Tier, Vec<u8>)],
    ) -> Result<MetricsSaved, StoreError> {
        let (names, points): (Vec<String>, Vec<Vec<u8>>) =
            tiers.iter().map(|(tier, points)| (tier.as_str().to_owned(), points.clone())).unzip();
        let row = sqlx::query!(
            r#"WITH held AS (
                SELECT id FROM hosts WHERE id = $2 AND attached_to = $3 AND attachment_epoch = $4),
             saved AS (
                INSERT INTO capsule_metrics (sandbox_id, tier, points)
                SELECT sandboxes.id, given.tier, given.points
                FROM sandboxes JOIN held ON host_id = held.id, unnest($5::text[], $6::bytea[]) AS given (tier, points)
                WHERE sandboxes.id = $1
                ON CONFLICT (sandbox_id, tier) DO UPDATE SET points = EXCLUDED.points, saved_at = now()
                RETURNING 1)
             SELECT EXISTS (SELECT FROM held) AS "is_held!", EXISTS (SELECT FROM saved) AS "is_saved!""#,
            id.0,
            attachment.host.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
            &names,
            &points,
        );
        let row = row.fetch_one(&self.pool).await?;
        Ok(match (row.is_held, row.is_saved) {
            (_, true) => MetricsSaved::Stored,
            (true, false) => MetricsSaved::Unknown,
            (false, false) => MetricsSaved::NotHeld,
        })
    }

    /// Returns the packed measurements of a capsule in one tier.
    pub async fn capsule_metrics_get(
        &self,
        id: SandboxId,
        tier: Tier,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let points = sqlx::query_scalar!(
            "SELECT points FROM capsule_metrics WHERE sandbox_id = $1 AND tier = $2",
            id.0,
            tier.as_str(),
        );
        Ok(points.fetch_optional(&self.pool).await?)
    }

    /// Removes measurements of capsules whose end is older than `kept`, `limit` rows at most; returns how many.
    pub async fn capsule_metrics_retire(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        // They were saved at the end of their capsule, or before.
        let done = sqlx::query!(
            "DELETE FROM capsule_metrics USING (
                SELECT sandbox_id, tier FROM capsule_metrics JOIN sandboxes ON sandboxes.id = sandbox_id
                WHERE saved_at < now() - make_interval(secs => $1)
                    AND destroyed_at < now() - make_interval(secs => $1)
                ORDER BY saved_at LIMIT $2 FOR UPDATE OF capsule_metrics SKIP LOCKED) AS old
             WHERE capsule_metrics.sandbox_id = old.sandbox_id AND capsule_metrics.tier = old.tier",
            kept.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
