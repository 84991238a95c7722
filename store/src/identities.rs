//! Accounts at identity providers, and the sign-ins that are under way there.

use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::UserId,
    user::{ConnectingUser, NewIdentity, ProviderSignIn, SecretHash},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// The reason for which an identity was not linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkIdentityError {
    /// The identity belongs to another account, or the account has another identity at this provider.
    #[error("the identity is linked already")]
    Taken,
    /// The account is gone or switched off, or its tokens have ended since.
    #[error("the session has ended")]
    Ended,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LinkIdentityError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|database| database.constraint()) {
            Some("user_identities_pkey" | "user_identities_user_id_provider_key") => Self::Taken,
            _ => Self::Store(error.into()),
        }
    }
}

/// The outcome of an attempt to unlink a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    /// The provider is not linked any more.
    Done,
    /// The provider was not linked.
    NotLinked,
    /// The user could not sign in any more.
    OnlyWay,
}

impl Store {
    /// Notes a sign-in that is under way, for as many seconds as given; those that are over are removed.
    pub async fn provider_sign_in_begin(
        &self,
        state: &SecretHash,
        sign_in: &ProviderSignIn,
        ttl_sec: i32,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("DELETE FROM provider_sign_ins WHERE expires_at < now()")
            .execute(&mut *transaction)
            .await?;
        sqlx::query!(
            "INSERT INTO provider_sign_ins (state_hash, provider, nonce, pkce_verifier, user_id, expires_at,
                user_epoch)
             VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7)",
            state.as_slice(),
            sign_in.provider,
            sign_in.nonce,
            sign_in.pkce_verifier,
            sign_in.user.map(|user| user.id.0),
            f64::from(ttl_sec),
            sign_in.user.map(|user| user.epoch),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes a sign-in that is under way, which only one caller can; `None` if there is none, or its time is over.
    pub async fn provider_sign_in_take(
        &self,
        state: &SecretHash,
        provider: &str,
    ) -> Result<Option<ProviderSignIn>, StoreError> {
        let row = sqlx::query!(
            "DELETE FROM provider_sign_ins WHERE state_hash = $1 AND provider = $2 AND expires_at > now()
             RETURNING provider, nonce, pkce_verifier, user_id, user_epoch",
            state.as_slice(),
            provider,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ProviderSignIn {
            provider: row.provider,
            nonce: row.nonce,
            pkce_verifier: row.pkce_verifier,
            user: row.user_id.zip(row.user_epoch).map(|(id, epoch)| ConnectingUser { id: UserId(id), epoch }),
        }))
    }

    /// Returns the account to which an identity is linked.
    pub async fn identity_user(&self, provider: &str, subject: &str) -> Result<Option<UserId>, StoreError> {
        let id = sqlx::query_scalar!(
            "SELECT user_id FROM user_identities WHERE provider = $1 AND subject = $2",
            provider,
            subject,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(UserId))
    }

    /// Links an identity to an account whose tokens have not ended, with the audit entry.
    pub async fn identity_link(
        &self,
        user: ConnectingUser,
        identity: &NewIdentity,
        intent: &AuditIntent,
    ) -> Result<(), LinkIdentityError> {
        let linked = audit::change!(
            "INSERT INTO user_identities (provider, subject, user_id, email)
             SELECT $15, $16, id, $18 FROM users WHERE id = $17 AND is_active AND token_epoch = $19
             RETURNING user_id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            identity.provider,
            identity.subject,
            user.id.0,
            identity.email,
            user.epoch,
        );
        match linked.execute(&self.pool).await?.rows_affected() {
            0 => Err(LinkIdentityError::Ended),
            _ => Ok(()),
        }
    }

    /// Unlinks a provider from an account, with the audit entry, unless the user could not sign in any more.
    pub async fn identity_unlink(
        &self,
        user: UserId,
        provider: &str,
        intent: &AuditIntent,
    ) -> Result<Unlinked, StoreError> {
        let mut transaction = self.pool.begin().await?;
        // The row of the account is locked, so that of two requests the second one sees what the first has left.
        let found = sqlx::query!(
            "SELECT password_hash IS NOT NULL AS \"has_password!\" FROM users WHERE id = $1 FOR UPDATE",
            user.0,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(found) = found else { return Ok(Unlinked::NotLinked) };
        let providers =
            sqlx::query_scalar!("SELECT provider FROM user_identities WHERE user_id = $1", user.0)
                .fetch_all(&mut *transaction)
                .await?;
        if !providers.iter().any(|linked| linked == provider) {
            return Ok(Unlinked::NotLinked);
        }
        if !found.has_password && providers.len() == 1 {
            return Ok(Unlinked::OnlyWay);
        }
        sqlx::query!("DELETE FROM user_identities WHERE user_id = $1 AND provider = $2", user.0, provider)
            .execute(&mut *transaction)
            .await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Unlinked::Done)
    }
}
