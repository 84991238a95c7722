//! Keys that sign tokens.

use std::time::Duration;

use wrenn_domain::{
    administration::FormerKeys,
    audit::{AuditIntent, AuditStatus},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

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

    /// Adds a key, which signs from now on, with its audit entry. Removes former ones: all of them, or those that were
    /// replaced longer than `keep` ago.
    pub async fn token_key_rotate(
        &self,
        key: &TokenKey,
        keep: Duration,
        former: FormerKeys,
        intent: &AuditIntent,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "DELETE FROM token_keys old WHERE $2 OR EXISTS (
                SELECT FROM token_keys newer WHERE newer.created_at > old.created_at
                    AND newer.created_at < now() - make_interval(secs => $1))",
            keep.as_secs_f64(),
            former == FormerKeys::End,
        )
        .execute(&mut *transaction)
        .await?;
        let added = audit::change!(
            "INSERT INTO token_keys (id, secret) VALUES ($15, $16) RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            key.id,
            key.secret,
        );
        added.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
