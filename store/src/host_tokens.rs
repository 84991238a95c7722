//! Host tokens: every secret that a host can show. Only their hashes are kept.
//!
//! ```text
//!  registration (one-time, 1 h) ──▶ host (7 d) + refresh (30 d) ──▶ host + refresh ──▶ …
//! ```
//!
//! A refresh token that was used stays good for a few minutes, in case the answer was lost on its way.

use std::time::Duration;

use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::{AuditIntent, AuditStatus},
    host::HostCapacity,
    ids::{HostId, TeamId},
    principal::Principal,
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// SHA-256 of a token; tokens have enough entropy to need no slow hash.
pub type TokenHash = [u8; 32];

/// How long a registration token can be used.
pub const REGISTRATION_TTL: Duration = Duration::from_secs(3600);
/// How long a host token can be used.
pub const HOST_TTL: Duration = Duration::from_secs(7 * 86_400);
/// How long a refresh token can be used: a host that was away for longer has to be registered again.
pub const REFRESH_TTL: Duration = Duration::from_secs(30 * 86_400);
/// How long a refresh token can be used again: a host whose answer was lost asks once more.
pub const REFRESH_AGAIN: Duration = Duration::from_secs(600);
/// Host tokens that a host can have: the one that it uses, and the one that it was just given.
const HOST_TOKENS: i64 = 2;

/// Hashes of the two tokens that a host gets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialHashes {
    /// What it shows on every call.
    pub host: TokenHash,
    /// What it renews both with.
    pub refresh: TokenHash,
}

/// What a host says of itself when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// What it offers.
    pub capacity: HostCapacity,
    /// Its processors' architecture.
    pub arch: String,
    /// Its address, for people.
    pub address: String,
}

async fn insert(
    connection: &mut sqlx::PgConnection,
    host: Uuid,
    kind: &str,
    hash: &TokenHash,
    ttl: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO host_tokens (token_hash, host_id, kind, expires_at)
         VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        hash.as_slice(),
        host,
        kind,
        ttl.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes a registration token for a host whose row the caller has locked; any older one of it is void.
pub(crate) async fn insert_registration(
    connection: &mut sqlx::PgConnection,
    host: HostId,
    hash: &TokenHash,
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1 AND kind = 'registration'", host.0)
        .execute(&mut *connection)
        .await?;
    insert(connection, host.0, "registration", hash, REGISTRATION_TTL).await
}

/// Host of a token that was redeemed, and its team.
struct Redeemed {
    host: Uuid,
    team_id: Option<Uuid>,
}

/// Takes a registration token out of the table; returns its host if it was valid. The host's row is locked before the
/// token's, as it is when a token is issued or the host is deleted.
async fn redeem_registration(
    connection: &mut sqlx::PgConnection,
    hash: &TokenHash,
) -> Result<Option<Redeemed>, sqlx::Error> {
    let host = sqlx::query!(
        "SELECT id, team_id FROM hosts
         WHERE id = (SELECT host_id FROM host_tokens WHERE token_hash = $1 AND kind = 'registration')
            AND deleted_at IS NULL
         FOR NO KEY UPDATE",
        hash.as_slice(),
    );
    let Some(host) = host.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let redeemed = sqlx::query!(
        "DELETE FROM host_tokens WHERE token_hash = $1 AND kind = 'registration' AND expires_at > now()",
        hash.as_slice(),
    );
    let is_valid = redeemed.execute(connection).await?.rows_affected() == 1;
    Ok(is_valid.then_some(Redeemed { host: host.id, team_id: host.team_id }))
}

/// Lets a refresh token end soon; returns its host if it was valid.
async fn redeem_refresh(
    connection: &mut sqlx::PgConnection,
    hash: &TokenHash,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE host_tokens SET expires_at = LEAST(expires_at, now() + make_interval(secs => $2))
         WHERE token_hash = $1 AND kind = 'refresh' AND expires_at > now()
            AND EXISTS (SELECT FROM hosts WHERE hosts.id = host_id AND deleted_at IS NULL FOR SHARE)
         RETURNING host_id",
        hash.as_slice(),
        REFRESH_AGAIN.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await
}

async fn insert_credentials(
    connection: &mut sqlx::PgConnection,
    host: Uuid,
    credentials: &CredentialHashes,
) -> Result<(), sqlx::Error> {
    insert(connection, host, "host", &credentials.host, HOST_TTL).await?;
    insert(connection, host, "refresh", &credentials.refresh, REFRESH_TTL).await?;
    sqlx::query!(
        "DELETE FROM host_tokens WHERE host_id = $1 AND (expires_at <= now() OR token_hash IN
            (SELECT token_hash FROM host_tokens WHERE host_id = $1 AND kind = 'host'
             ORDER BY created_at DESC OFFSET $2))",
        host,
        HOST_TOKENS,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Redeems a registration token, voids everything with which the host could come back, and records what it says of itself, with
/// the audit entry. Returns none if the token is not valid, or no longer.
pub(crate) async fn register(
    connection: &mut sqlx::PgConnection,
    registration: &TokenHash,
    facts: &HostFacts,
) -> Result<Option<HostId>, StoreError> {
    let Some(Redeemed { host, team_id }) = redeem_registration(&mut *connection, registration).await? else {
        return Ok(None);
    };
    sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1", host).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM host_certificates WHERE host_id = $1", host).execute(&mut *connection).await?;
    sqlx::query!(
        "UPDATE hosts SET cpu_cores = NULLIF($2, 0), memory_mb = NULLIF($3::bigint, 0), disk_mb = $4,
            arch = $5, address = $6, updated_at = now()
         WHERE id = $1",
        host,
        facts.capacity.cpu_cores.cast_signed(),
        facts.capacity.memory_mb.cast_signed(),
        facts.capacity.disk_mb.cast_signed(),
        facts.arch,
        facts.address,
    )
    .execute(&mut *connection)
    .await?;
    let host = HostId(host);
    let intent = AuditIntent::new(Principal::Host { id: host }, Action::HostRegister).of(host);
    let intent = AuditIntent { team: team_id.map(TeamId), ..intent };
    audit::insert(connection, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
    Ok(Some(host))
}

impl Store {
    /// Keeps a registration token for a host; any older one of it is void.
    pub async fn host_registration_token_issue(
        &self,
        host: HostId,
        hash: &TokenHash,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("SELECT id FROM hosts WHERE id = $1 FOR NO KEY UPDATE", host.0)
            .fetch_optional(&mut *transaction)
            .await?;
        insert_registration(&mut transaction, host, hash).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Redeems a registration token for credentials, with the audit entry. All earlier credentials of the host are void.
    ///
    /// Returns none if the token is not valid, or no longer.
    pub async fn host_register(
        &self,
        registration: &TokenHash,
        credentials: &CredentialHashes,
        facts: &HostFacts,
    ) -> Result<Option<HostId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(host) = register(&mut transaction, registration, facts).await? else { return Ok(None) };
        insert_credentials(&mut transaction, host.0, credentials).await?;
        transaction.commit().await?;
        Ok(Some(host))
    }

    /// Redeems a refresh token for new credentials. The host token before stays valid until it ends, and the
    /// refresh token for [`REFRESH_AGAIN`].
    ///
    /// Returns none if the token is not valid, or no longer.
    pub async fn host_refresh(
        &self,
        refresh: &TokenHash,
        credentials: &CredentialHashes,
    ) -> Result<Option<HostId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(host) = redeem_refresh(&mut transaction, refresh).await? else { return Ok(None) };
        insert_credentials(&mut transaction, host, credentials).await?;
        transaction.commit().await?;
        Ok(Some(HostId(host)))
    }

    /// Returns whose host token this is and how long it is still valid, if it is.
    pub async fn host_token_verify(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<(HostId, Duration)>, StoreError> {
        let row = sqlx::query!(
            "SELECT host_id, extract(epoch FROM expires_at - now())::float8 AS \"left_sec!\" FROM host_tokens
             WHERE token_hash = $1 AND kind = 'host' AND expires_at > now()
                AND EXISTS (SELECT FROM hosts WHERE hosts.id = host_id AND deleted_at IS NULL)",
            hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row
            .map(|row| (HostId(row.host_id), Duration::try_from_secs_f64(row.left_sec).unwrap_or_default())))
    }

    /// Removes tokens that have expired; returns how many.
    pub async fn host_tokens_retire(&self, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM host_tokens WHERE token_hash IN
                (SELECT token_hash FROM host_tokens WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }

    /// Returns true if the host holds anything with which it could attach again.
    pub async fn host_can_return(&self, host: HostId) -> Result<bool, StoreError> {
        let can = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT FROM host_tokens WHERE host_id = $1 AND expires_at > now())
                OR EXISTS (SELECT FROM host_certificates WHERE host_id = $1 AND expires_at > now()) AS \"can!\"",
            host.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(can)
    }
}
