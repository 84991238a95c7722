//! The removal of sandboxes that are gone for long.
//!
//! Audit entries, samples and templates that were made of a sandbox do not refer to its row, and stay. A build keeps its row
//! without the capsule in which it ran. A machine of such a sandbox that a host still lists is one that nobody knows, which
//! the reconciler has removed.

use std::time::Duration;

use crate::{Store, StoreError};

impl Store {
    /// Removes sandboxes that are gone for longer than `age`, at most `limit`, the oldest first; returns how many.
    pub async fn sandboxes_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM sandboxes WHERE id IN (
                SELECT id FROM sandboxes WHERE destroyed_at < now() - make_interval(secs => $1)
                ORDER BY destroyed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            age.as_secs_f64(),
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
