//! API keys: what programs show instead of a password. Only their hashes are kept.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    api_key::{ApiKey, ApiKeyIdentity, KeyHash, NewApiKey},
    audit::{AuditIntent, AuditStatus},
    ids::{ApiKeyId, TeamId, UserId},
    page::{Page, PageRequest, Position},
    principal::Principal,
    scope::{Scope, Scopes},
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
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

pub(crate) fn scopes(words: &[String]) -> Result<Scopes, StoreError> {
    Ok(words.iter().map(|word| word.parse::<Scope>()).collect::<Result<_, _>>()?)
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            scopes: scopes(&row.scopes)?,
            expires_at: row.expires_at,
            id: ApiKeyId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            key_prefix: row.key_prefix,
            created_by: UserId(row.created_by),
            created_at: row.created_at,
            last_used: row.last_used,
        })
    }
}

impl Store {
    /// Records a key, with its audit entry. One that is made with a key ends no later than that key. Returns `None` if the
    /// maker is no longer a member of the team, or the key with which it is made has ended.
    pub async fn api_key_create(
        &self,
        key: NewApiKey,
        intent: &AuditIntent,
    ) -> Result<Option<ApiKey>, StoreError> {
        let made_with = match intent.principal {
            Principal::ApiKey { id, .. } => Some(id.0),
            _ => None,
        };
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            ApiKeyRow,
            "INSERT INTO api_keys (id, team_id, name, key_hash, key_prefix, created_by, scopes, expires_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, LEAST($8, k.expires_at)
             FROM teams t
             JOIN team_members m ON m.team_id = t.id AND m.user_id = $6
             LEFT JOIN api_keys k ON k.id = $9 AND (k.expires_at IS NULL OR k.expires_at > now())
             WHERE t.id = $2 AND t.deleted_at IS NULL AND (k.id IS NOT NULL OR $9::uuid IS NULL)
             FOR SHARE OF t, m
             RETURNING id, team_id, name, key_prefix, created_by, created_at, last_used, scopes, expires_at",
            key.id.0,
            key.team_id.0,
            key.name,
            key.key_hash.as_slice(),
            key.key_prefix,
            key.created_by.0,
            &key.scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>(),
            key.expires_at,
            made_with,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// The keys of a team, newest first.
    pub async fn api_keys_of_team(
        &self,
        team_id: TeamId,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let (at, id) = page.bounds();
        let rows = sqlx::query_as!(
            ApiKeyRow,
            "SELECT id, team_id, name, key_prefix, created_by, created_at, last_used, scopes, expires_at
             FROM api_keys
             WHERE team_id = $1 AND (created_at, id) < (COALESCE($2::timestamptz, 'infinity'),
                COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY created_at DESC, id DESC LIMIT $4",
            team_id.0,
            at,
            id,
            page.rows_to_read(),
        )
        .fetch_all(&self.pool)
        .await?;
        let keys = rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(keys, page, |key| Position { at: key.created_at, id: key.id.0 }))
    }

    /// Deletes a team's key, with its audit entry; false when the team has no such key.
    pub async fn api_key_delete(
        &self,
        team_id: TeamId,
        id: ApiKeyId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let deleted = audit::change!(
            "DELETE FROM api_keys WHERE id = $15 AND team_id = $16 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            team_id.0,
        );
        Ok(deleted.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns the principal for which the key with this hash stands, and notes that it was used (at most once a minute).
    ///
    /// A key ends with its time, with its team, and with its maker's place in the team.
    pub async fn api_key_authenticate(&self, hash: &KeyHash) -> Result<Option<ApiKeyIdentity>, StoreError> {
        let row = sqlx::query!(
            "SELECT k.id, k.team_id, k.created_by, k.scopes, u.is_active, m.role,
                    (k.last_used IS NULL OR k.last_used < now() - interval '1 minute') AS \"is_due!\"
             FROM api_keys k
             JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL
             JOIN users u ON u.id = k.created_by
             JOIN team_members m ON m.team_id = k.team_id AND m.user_id = k.created_by
             WHERE k.key_hash = $1 AND (k.expires_at IS NULL OR k.expires_at > now())",
            hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.is_due {
            // Of several requests at the same time one writes; a key that was deleted meanwhile does not matter.
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
            scopes: scopes(&row.scopes)?.limited_to(row.role.parse()?),
            creator_is_active: row.is_active,
        }))
    }
}
