//! API keys: what programs show instead of a password. Only their hashes are kept.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    api_key::{ApiKey, ApiKeyIdentity, KeyHash, NewApiKey},
    audit::{AuditIntent, AuditStatus},
    ids::{ApiKeyId, TeamId, UserId},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

struct ApiKeyRow {
    id: Uuid,
    team_id: Uuid,
    name: String,
    key_prefix: String,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    last_used: Option<DateTime<Utc>>,
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: ApiKeyId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            key_prefix: row.key_prefix,
            created_by: UserId(row.created_by),
            created_at: row.created_at,
            last_used: row.last_used,
        }
    }
}

impl Store {
    /// Records a key, with its audit entry.
    pub async fn api_key_create(&self, key: NewApiKey, intent: &AuditIntent) -> Result<ApiKey, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            ApiKeyRow,
            "INSERT INTO api_keys (id, team_id, name, key_hash, key_prefix, created_by)
             VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id, team_id, name, key_prefix, created_by, created_at, last_used",
            key.id.0,
            key.team_id.0,
            key.name,
            key.key_hash.as_slice(),
            key.key_prefix,
            key.created_by.0,
        )
        .fetch_one(&mut *transaction)
        .await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(row.into())
    }

    /// The keys of a team, newest first.
    pub async fn api_keys_of_team(&self, team_id: TeamId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query_as!(
            ApiKeyRow,
            "SELECT id, team_id, name, key_prefix, created_by, created_at, last_used
             FROM api_keys WHERE team_id = $1 ORDER BY created_at DESC, id DESC",
            team_id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Deletes a team's key, with its audit entry; false when the team has no such key.
    pub async fn api_key_delete(
        &self,
        team_id: TeamId,
        id: ApiKeyId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let deleted = sqlx::query!("DELETE FROM api_keys WHERE id = $1 AND team_id = $2", id.0, team_id.0)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if deleted == 1 {
            audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
            transaction.commit().await?;
        }
        Ok(deleted == 1)
    }

    /// Whom the key with this hash stands for, noting that it was used (at most once a minute).
    pub async fn api_key_authenticate(&self, hash: &KeyHash) -> Result<Option<ApiKeyIdentity>, StoreError> {
        let row = sqlx::query!(
            "SELECT k.id, k.team_id, k.created_by, u.is_active,
                    (k.last_used IS NULL OR k.last_used < now() - interval '1 minute') AS \"is_due!\"
             FROM api_keys k
             JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL
             JOIN users u ON u.id = k.created_by
             WHERE k.key_hash = $1",
            hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.is_due {
            // Of several requests at the same time one writes; a key deleted meanwhile is none's loss.
            sqlx::query!(
                "UPDATE api_keys SET last_used = now()
                 WHERE id = $1 AND (last_used IS NULL OR last_used < now() - interval '1 minute')",
                row.id,
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(Some(ApiKeyIdentity {
            id: ApiKeyId(row.id),
            team_id: TeamId(row.team_id),
            created_by: UserId(row.created_by),
            creator_is_active: row.is_active,
        }))
    }
}
