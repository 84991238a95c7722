//! Numbers over all teams, for operators.

use wrenn_domain::{
    administration::{OpenBuilds, SandboxCount},
    lifecycle::SandboxStatus,
};

use crate::{Store, StoreError};

/// Connections of the pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLoad {
    /// Connections on which a statement runs, or that somebody holds.
    pub used: u32,
    /// Open connections that nobody uses.
    pub idle: u32,
    /// Most connections.
    pub max: u32,
}

impl Store {
    /// Returns the load of the pool.
    pub fn pool_load(&self) -> PoolLoad {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        let used = self.pool.size().saturating_sub(idle);
        PoolLoad { used, idle, max: self.pool.options().get_max_connections() }
    }

    /// Counts the sandboxes that are not gone, in each state; states without any are included.
    pub async fn sandbox_counts(&self) -> Result<Vec<SandboxCount>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT status, count(*) AS "count!", sum(vcpus)::bigint AS "vcpus!", sum(memory_mb)::bigint AS "memory_mb!"
               FROM sandboxes WHERE destroyed_at IS NULL GROUP BY status"#
        )
        .fetch_all(&self.pool)
        .await?;
        let none = |&status: &SandboxStatus| SandboxCount { status, count: 0, vcpus: 0, memory_mb: 0 };
        let mut counts: Vec<_> = SandboxStatus::ALL.iter().map(none).collect();
        for row in rows {
            let status: SandboxStatus = row.status.parse()?;
            let found = SandboxCount { status, count: row.count, vcpus: row.vcpus, memory_mb: row.memory_mb };
            counts.iter_mut().filter(|entry| entry.status == status).for_each(|entry| *entry = found);
        }
        Ok(counts)
    }

    /// Counts the builds that have not ended.
    pub async fn open_build_counts(&self) -> Result<OpenBuilds, StoreError> {
        let counts = sqlx::query_as!(
            OpenBuilds,
            r#"SELECT count(*) FILTER (WHERE status = 'pending') AS "pending!",
                count(*) FILTER (WHERE status = 'running') AS "running!"
               FROM template_builds WHERE status IN ('pending', 'running')"#
        );
        Ok(counts.fetch_one(&self.pool).await?)
    }

    /// Counts the notifications that wait to be delivered.
    pub async fn pending_delivery_count(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM channel_deliveries WHERE status = 'pending'"#
        );
        Ok(count.fetch_one(&self.pool).await?)
    }
}
