//! Values that the control plane makes once and keeps.

use wrenn_domain::user::SecretHash;

use crate::{Store, StoreError};

impl Store {
    /// Sets the hash of the token that makes the first administrator; the former one ends.
    pub async fn setup_token_set(&self, hash: &SecretHash) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO settings (name, value) VALUES ('setup_token', $1)
             ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value",
            hash.as_slice(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends the token that makes the first administrator.
    pub async fn setup_token_end(&self) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM settings WHERE name = 'setup_token'").execute(&self.pool).await?;
        Ok(())
    }
}
