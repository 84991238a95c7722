//! Keys that sign tokens.

use std::time::Duration;

use crate::{Store, StoreError};

/// A key that signs tokens.
pub struct TokenKey {
    /// Its id, which the header of a token names as `kid`.
    pub id: String,
    /// The secret, at least 32 bytes.
    pub secret: Vec<u8>,
}

impl Store {
    /// Returns the keys, newest first.
    pub async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        let keys =
            sqlx::query_as!(TokenKey, "SELECT id, secret FROM token_keys ORDER BY created_at DESC, id DESC");
        Ok(keys.fetch_all(&self.pool).await?)
    }

    /// Records a key if there is none. Of two servers that start at once both may record theirs; each reads the other's
    /// when it meets a token of it.
    pub async fn token_key_ensure(&self, proposal: &TokenKey) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO token_keys (id, secret) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM token_keys)",
            proposal.id,
            proposal.secret,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Adds a key, which signs from now on, and removes those that were replaced longer than `keep` ago.
    pub async fn token_key_rotate(&self, key: &TokenKey, keep: Duration) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "DELETE FROM token_keys old WHERE EXISTS (
                SELECT FROM token_keys newer WHERE newer.created_at > old.created_at
                    AND newer.created_at < now() - make_interval(secs => $1))",
            keep.as_secs_f64(),
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("INSERT INTO token_keys (id, secret) VALUES ($1, $2)", key.id, key.secret)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Removes all keys but the newest one.
    pub async fn token_keys_end_former(&self) -> Result<u64, StoreError> {
        let ended = sqlx::query!(
            "DELETE FROM token_keys WHERE id <> (SELECT id FROM token_keys ORDER BY created_at DESC, id DESC LIMIT 1)"
        );
        Ok(ended.execute(&self.pool).await?.rows_affected())
    }
}
