//! Values that the control plane makes once and keeps.

use crate::{Store, StoreError};

impl Store {
    /// The value under this name; `proposal` is stored and returned when there is none yet.
    ///
    /// Servers that start at the same time all get the same value.
    pub async fn setting_get_or_insert(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StoreError> {
        sqlx::query!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            name,
            proposal,
        )
        .execute(&self.pool)
        .await?;
        Ok(sqlx::query_scalar!("SELECT value FROM settings WHERE name = $1", name)
            .fetch_one(&self.pool)
            .await?)
    }
}
