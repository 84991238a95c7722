//! Second factors: the secret that makes codes, and codes for a user who has lost it.

use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::UserId,
    user::{SecretHash, User},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// Secret of a second factor.
pub struct TotpSecret {
    /// Its bytes.
    pub secret: Vec<u8>,
    /// True once a code of it was confirmed, so that signing in takes one.
    pub is_enabled: bool,
}

impl Store {
    /// Returns the secret of a user's second factor, confirmed or not.
    pub async fn totp_find(&self, user: UserId) -> Result<Option<TotpSecret>, StoreError> {
        let row = sqlx::query!(
            "SELECT totp_secret, totp_enabled_at IS NOT NULL AS \"is_enabled!\" FROM users WHERE id = $1",
            user.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row
            .and_then(|row| row.totp_secret.map(|secret| TotpSecret { secret, is_enabled: row.is_enabled })))
    }

    /// Sets the secret of a user who has no second factor yet; false if they have one.
    pub async fn totp_begin(
        &self,
        user: UserId,
        secret: &[u8],
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let begun = audit::change!(
            "UPDATE users SET totp_secret = $16, totp_last_step = NULL, updated_at = now()
             WHERE id = $15 AND totp_enabled_at IS NULL RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            user.0,
            secret,
        );
        Ok(begun.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Enables the second factor with its recovery codes, and ends all tokens; `None` if it is enabled already, or its
    /// secret is another one by now.
    pub async fn totp_enable(
        &self,
        user: UserId,
        secret: &[u8],
        step: i64,
        recovery: &[SecretHash],
        intent: &AuditIntent,
    ) -> Result<Option<User>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query!(
            "UPDATE users SET totp_enabled_at = now(), totp_last_step = $3, token_epoch = token_epoch + 1,
                updated_at = now()
             WHERE id = $1 AND totp_enabled_at IS NULL AND totp_secret = $2",
            user.0,
            secret,
            step,
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if changed == 0 {
            return Ok(None);
        }
        let hashes: Vec<Vec<u8>> = recovery.iter().map(|hash| hash.to_vec()).collect();
        sqlx::query!("DELETE FROM user_recovery_codes WHERE user_id = $1", user.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query!(
            "INSERT INTO user_recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
            user.0,
            &hashes,
        )
        .execute(&mut *transaction)
        .await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(self.user_find_with_role(user, None).await?.map(|(user, _)| user))
    }

    /// Removes the second factor and ends all tokens; `None` if there is none.
    pub async fn totp_disable(&self, user: UserId, intent: &AuditIntent) -> Result<Option<User>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query!(
            "UPDATE users SET totp_enabled_at = NULL, totp_secret = NULL, totp_last_step = NULL,
                token_epoch = token_epoch + 1, updated_at = now()
             WHERE id = $1 AND totp_enabled_at IS NOT NULL",
            user.0,
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if changed == 0 {
            return Ok(None);
        }
        sqlx::query!("DELETE FROM user_recovery_codes WHERE user_id = $1", user.0)
            .execute(&mut *transaction)
            .await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(self.user_find_with_role(user, None).await?.map(|(user, _)| user))
    }

    /// Uses up the code of a time step; false if that step, or a later one, was used before.
    pub async fn totp_use_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        let used = sqlx::query!(
            "UPDATE users SET totp_last_step = $2
             WHERE id = $1 AND totp_enabled_at IS NOT NULL AND (totp_last_step IS NULL OR totp_last_step < $2)",
            user.0,
            step,
        );
        Ok(used.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Uses up a recovery code; false if there is no such code.
    pub async fn recovery_code_use(&self, user: UserId, code: &SecretHash) -> Result<bool, StoreError> {
        let used = sqlx::query!(
            "DELETE FROM user_recovery_codes WHERE user_id = $1 AND code_hash = $2",
            user.0,
            code.as_slice(),
        );
        Ok(used.execute(&self.pool).await?.rows_affected() > 0)
    }
}
