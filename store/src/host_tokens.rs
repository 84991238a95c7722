//! Host tokens: every secret that a host can show. Only their hashes are kept.
//!
//! ```text
//!  registration (one-time, 1 h) ──▶ host (7 d) + refresh (one-time, 30 d) ──▶ host + refresh ──▶ …
//! ```

use std::time::Duration;

use uuid::Uuid;
use wrenn_proto::ids::HostId;

use crate::{Store, StoreError, hosts::HostCapacity};

/// SHA-256 of a token; tokens have enough entropy to need no slow hash.
pub type TokenHash = [u8; 32];

/// How long a registration token can be used.
pub const REGISTRATION_TTL: Duration = Duration::from_secs(3600);
/// How long a host token can be used.
pub const HOST_TTL: Duration = Duration::from_secs(7 * 86_400);
/// How long a refresh token can be used: a host that was away for longer has to be registered again.
pub const REFRESH_TTL: Duration = Duration::from_secs(30 * 86_400);

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

/// Takes a one-time token out of the table; returns its host if it was valid.
async fn redeem(
    connection: &mut sqlx::PgConnection,
    kind: &str,
    hash: &TokenHash,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM host_tokens WHERE token_hash = $1 AND kind = $2 AND expires_at > now()
         RETURNING host_id",
        hash.as_slice(),
        kind,
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
    sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1 AND expires_at <= now()", host)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Keeps a registration token for a host; any older one of it is void.
    pub async fn host_registration_token_issue(
        &self,
        host: HostId,
        hash: &TokenHash,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1 AND kind = 'registration'", host.0)
            .execute(&mut *transaction)
            .await?;
        insert(&mut transaction, host.0, "registration", hash, REGISTRATION_TTL).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Redeems a registration token for credentials. All earlier credentials of the host are void.
    ///
    /// Returns none if the token is not valid, or no longer.
    pub async fn host_register(
        &self,
        registration: &TokenHash,
        credentials: &CredentialHashes,
        facts: &HostFacts,
    ) -> Result<Option<HostId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(host) = redeem(&mut transaction, "registration", registration).await? else {
            return Ok(None);
        };
        sqlx::query!("DELETE FROM host_tokens WHERE host_id = $1", host).execute(&mut *transaction).await?;
        insert_credentials(&mut transaction, host, credentials).await?;
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
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(HostId(host)))
    }

    /// Redeems a refresh token for new credentials; earlier host tokens stay valid until they end.
    ///
    /// Returns none if the token is not valid, or no longer.
    pub async fn host_refresh(
        &self,
        refresh: &TokenHash,
        credentials: &CredentialHashes,
    ) -> Result<Option<HostId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(host) = redeem(&mut transaction, "refresh", refresh).await? else { return Ok(None) };
        insert_credentials(&mut transaction, host, credentials).await?;
        transaction.commit().await?;
        Ok(Some(HostId(host)))
    }

    /// Returns whose host token this is, if it is valid.
    pub async fn host_token_verify(&self, hash: &TokenHash) -> Result<Option<HostId>, StoreError> {
        let host = sqlx::query_scalar!(
            "SELECT host_id FROM host_tokens
             WHERE token_hash = $1 AND kind = 'host' AND expires_at > now()",
            hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(host.map(HostId))
    }

    /// Returns true if the host holds anything with which it could attach again.
    pub async fn host_can_return(&self, host: HostId) -> Result<bool, StoreError> {
        let can = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT FROM host_tokens WHERE host_id = $1 AND expires_at > now()) AS \"can!\"",
            host.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(can)
    }
}
