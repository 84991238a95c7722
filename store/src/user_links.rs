//! Links that prove an address or replace a password.

use chrono::{DateTime, Utc};
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::UserId,
    principal::Principal,
    user::{LinkKind, SecretHash},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// Returns an intent whose actor is the user who opened a link: the link is proof of that.
fn by_user(intent: &AuditIntent, user: UserId) -> AuditIntent {
    let principal = Principal::User { id: user, membership: None, is_admin: false, epoch: 0 };
    AuditIntent { principal, ..intent.clone() }.of(user)
}

impl Store {
    /// Issues a link, which replaces the former one of its kind; returns the end of its time. `None` if the account is gone.
    ///
    /// An intent is given where an administrator makes the link.
    pub async fn user_link_issue(
        &self,
        user: UserId,
        kind: LinkKind,
        token_hash: &SecretHash,
        intent: Option<&AuditIntent>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let expires_at = sqlx::query_scalar!(
            "INSERT INTO user_links (token_hash, user_id, kind, expires_at)
             SELECT $1, id, $3, now() + make_interval(secs => $4) FROM users WHERE id = $2
             ON CONFLICT (user_id, kind) DO UPDATE SET token_hash = EXCLUDED.token_hash,
                created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at
             RETURNING expires_at",
            token_hash.as_slice(),
            user.0,
            kind.as_str(),
            kind.ttl_sec() as f64,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if let (Some(_), Some(intent)) = (expires_at, intent) {
            audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        }
        transaction.commit().await?;
        Ok(expires_at)
    }

    /// Returns true if a link can still be used.
    pub async fn user_link_is_valid(
        &self,
        kind: LinkKind,
        token_hash: &SecretHash,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT FROM user_links WHERE token_hash = $1 AND kind = $2 AND expires_at > now())
                AS \"found!\"",
            token_hash.as_slice(),
            kind.as_str(),
        );
        Ok(found.fetch_one(&self.pool).await?)
    }

    /// Uses an activation link: the address of its account counts as proved. `None` if the link is wrong, old or used.
    pub async fn user_activate(
        &self,
        token_hash: &SecretHash,
        intent: &AuditIntent,
    ) -> Result<Option<UserId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let id = sqlx::query_scalar!(
            "WITH used AS (
                DELETE FROM user_links WHERE token_hash = $1 AND kind = $2 AND expires_at > now() RETURNING user_id)
             UPDATE users SET email_verified_at = COALESCE(email_verified_at, now()), updated_at = now()
             FROM used WHERE users.id = used.user_id RETURNING users.id",
            token_hash.as_slice(),
            LinkKind::Activation.as_str(),
        )
        .fetch_optional(&mut *transaction)
        .await?
        .map(UserId);
        if let Some(id) = id {
            let intent = by_user(intent, id);
            audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    /// Uses a link that replaces the password, and ends all tokens of the account. Until its
    /// address is proved, anybody may have made the account: what opens it besides the password ends, too. `None` if the link is wrong, old or used.
    pub async fn user_reset_password(
        &self,
        token_hash: &SecretHash,
        password_hash: &str,
        intent: &AuditIntent,
    ) -> Result<Option<UserId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let id = sqlx::query_scalar!(
            "WITH used AS (
                DELETE FROM user_links WHERE token_hash = $1 AND kind = $2 AND expires_at > now() RETURNING user_id)
             UPDATE users SET password_hash = $3, token_epoch = token_epoch + 1, updated_at = now()
             FROM used WHERE users.id = used.user_id RETURNING users.id",
            token_hash.as_slice(),
            LinkKind::PasswordReset.as_str(),
            password_hash,
        )
        .fetch_optional(&mut *transaction)
        .await?
        .map(UserId);
        if let Some(id) = id {
            for statement in [
                sqlx::query!(
                    "DELETE FROM user_identities USING users
                     WHERE users.id = $1 AND email_verified_at IS NULL AND user_id = users.id",
                    id.0,
                ),
                sqlx::query!(
                    "DELETE FROM api_keys USING users
                     WHERE users.id = $1 AND email_verified_at IS NULL AND created_by = users.id",
                    id.0,
                ),
            ] {
                statement.execute(&mut *transaction).await?;
            }
            let intent = by_user(intent, id);
            audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }
}
