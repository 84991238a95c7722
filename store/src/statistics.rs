//! Numbers over all teams, for operators.

use wrenn_domain::lifecycle::SandboxStatus;

use crate::{Store, StoreError};

impl Store {
    /// How many sandboxes that are not gone are in each state; states without any are included.
    pub async fn sandbox_counts(&self) -> Result<Vec<(SandboxStatus, i64)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT status, count(*) AS \"count!\" FROM sandboxes WHERE destroyed_at IS NULL GROUP BY status"
        )
        .fetch_all(&self.pool)
        .await?;
        let mut counts: Vec<_> = SandboxStatus::ALL.iter().map(|&status| (status, 0)).collect();
        for row in rows {
            let status: SandboxStatus = row.status.parse()?;
            counts.iter_mut().filter(|(known, _)| *known == status).for_each(|(_, count)| *count = row.count);
        }
        Ok(counts)
    }
}
