//! The authority that certifies hosts, and the certificates with which they attach.
//!
//! ```text
//!  registration token (one-time, 1 h) ──▶ certificate ──▶ certificate ──▶ …      each before the former expires
//! ```
//!
//! A certificate is good as long as it is here and its host is not deleted. Registering a host anew removes those that it had.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::ids::HostId;

use crate::{
    Store, StoreError,
    host_tokens::{HostFacts, TokenHash, register},
};

/// Certificates that a host can have: a renewal whose answer is lost is repeated.
const PER_HOST: i64 = 3;

/// A certificate as it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCertificate {
    /// SHA-256 of its DER.
    pub fingerprint: [u8; 32],
    /// Its life.
    pub valid_for: Duration,
}

/// State of a certificate that a host shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateState {
    /// The host may attach with it.
    Valid {
        /// Time until it expires.
        left: Duration,
    },
    /// The host is deleted, and learns by this that it must not come back.
    HostDeleted,
    /// The certificate was revoked, has expired, or belongs to another host.
    Void,
}

/// The authority's certificate and private key, in DER.
#[derive(Clone)]
pub struct AgentAuthority {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The private key, as PKCS #8.
    pub private_key: Vec<u8>,
}

async fn insert(connection: &mut PgConnection, host: Uuid, new: &NewCertificate) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO host_certificates (fingerprint, host_id, expires_at)
         VALUES ($1, $2, now() + make_interval(secs => $3))",
        new.fingerprint.as_slice(),
        host,
        new.valid_for.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM host_certificates WHERE host_id = $1 AND (expires_at <= now() OR fingerprint IN
            (SELECT fingerprint FROM host_certificates WHERE host_id = $1
             ORDER BY created_at DESC, fingerprint OFFSET $2))",
        host,
        PER_HOST,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Returns the authority; keeps the proposed one if there is none yet.
    pub async fn agent_authority_ensure(
        &self,
        proposal: &AgentAuthority,
    ) -> Result<AgentAuthority, StoreError> {
        sqlx::query!(
            "INSERT INTO agent_authority (certificate, private_key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            proposal.certificate,
            proposal.private_key,
        )
        .execute(&self.pool)
        .await?;
        Ok(self.agent_authority().await?.unwrap_or_else(|| proposal.clone()))
    }

    /// Returns the authority, if it was made already.
    pub async fn agent_authority(&self) -> Result<Option<AgentAuthority>, StoreError> {
        let row = sqlx::query_as!(AgentAuthority, "SELECT certificate, private_key FROM agent_authority");
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Returns the host of a registration token that is valid; the token stays so.
    pub async fn host_of_registration(&self, registration: &TokenHash) -> Result<Option<HostId>, StoreError> {
        let host = sqlx::query_scalar!(
            "SELECT host_id FROM host_tokens WHERE token_hash = $1 AND kind = 'registration' AND expires_at > now()
                AND EXISTS (SELECT FROM hosts WHERE hosts.id = host_id AND deleted_at IS NULL)",
            registration.as_slice(),
        );
        Ok(host.fetch_optional(&self.pool).await?.map(HostId))
    }

    /// Redeems a host's registration token for a certificate. All earlier credentials of the host are void.
    ///
    /// Returns false if the token is not valid, or no longer.
    pub async fn host_register_certified(
        &self,
        registration: &TokenHash,
        host: HostId,
        certificate: &NewCertificate,
        facts: &HostFacts,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if register(&mut transaction, registration, facts).await? != Some(host) {
            return Ok(false);
        }
        insert(&mut transaction, host.0, certificate).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Adds a certificate of a host that shows a valid one; returns false if that was revoked meanwhile.
    pub async fn host_certificate_renew(
        &self,
        shown: &[u8; 32],
        host: HostId,
        certificate: &NewCertificate,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let is_valid = sqlx::query_scalar!(
            "SELECT 1 AS \"valid!\" FROM host_certificates JOIN hosts ON hosts.id = host_id
             WHERE fingerprint = $1 AND host_id = $2 AND deleted_at IS NULL FOR SHARE",
            shown.as_slice(),
            host.0,
        );
        if is_valid.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(false);
        }
        insert(&mut transaction, host.0, certificate).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Returns the state of a certificate that a host shows.
    pub async fn host_certificate_find(
        &self,
        fingerprint: &[u8; 32],
        host: HostId,
    ) -> Result<CertificateState, StoreError> {
        let row = sqlx::query!(
            r#"SELECT extract(epoch FROM expires_at - now())::float8 AS "left_sec!",
                deleted_at IS NOT NULL AS "is_host_deleted!"
             FROM host_certificates JOIN hosts ON hosts.id = host_id
             WHERE fingerprint = $1 AND host_id = $2 AND expires_at > now()"#,
            fingerprint.as_slice(),
            host.0,
        );
        Ok(match row.fetch_optional(&self.pool).await? {
            None => CertificateState::Void,
            Some(row) if row.is_host_deleted => CertificateState::HostDeleted,
            Some(row) => CertificateState::Valid {
                left: Duration::try_from_secs_f64(row.left_sec).unwrap_or_default(),
            },
        })
    }

    /// Removes certificates that have expired; returns how many.
    pub async fn host_certificates_retire(&self, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM host_certificates WHERE fingerprint IN
                (SELECT fingerprint FROM host_certificates WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
            i64::from(limit),
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
