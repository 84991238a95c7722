//! Accounts and certificates of ACME directories.
//!
//! ```text
//!   acme_order_begin ─▶ acme_order_succeeded: the certificate, and when its renewal is due
//!          ▲        └─▶ acme_order_failed: the time of the next try
//!          └─ by Postgres' clock; one server at a time, and another one if it ends in between
//! ```

use std::time::Duration;

use crate::{Store, StoreError};

/// Certificate that servers share: the directory and the names that it is ordered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSubject {
    /// Address of the directory.
    pub directory: String,
    /// Names with a comma between them.
    pub names: String,
}

impl Store {
    /// Returns the key of an account.
    pub async fn acme_account(&self, directory: &str, contact: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = sqlx::query_scalar!(
            "SELECT key FROM acme_accounts WHERE directory = $1 AND contact = $2",
            directory,
            contact
        );
        Ok(key.fetch_optional(&self.pool).await?)
    }

    /// Records the key of an account, unless there is one.
    pub async fn acme_account_create(
        &self,
        directory: &str,
        contact: &str,
        key: &[u8],
    ) -> Result<(), StoreError> {
        let create = sqlx::query!(
            "INSERT INTO acme_accounts (directory, contact, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            directory,
            contact,
            key
        );
        create.execute(&self.pool).await?;
        Ok(())
    }

    /// Returns the private key and the chain of a certificate, as PEM.
    pub async fn acme_certificate(&self, subject: &AcmeSubject) -> Result<Option<Vec<u8>>, StoreError> {
        let pem = sqlx::query_scalar!(
            "SELECT pem FROM acme_certificates WHERE directory = $1 AND names = $2",
            subject.directory,
            subject.names
        );
        Ok(pem.fetch_optional(&self.pool).await?.flatten())
    }

    /// Takes the right to order a certificate for a while. Returns the number of orders that failed before; `None` if no order is
    /// due, or another server has the right.
    pub async fn acme_order_begin(
        &self,
        subject: &AcmeSubject,
        lease: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let failures = sqlx::query_scalar!(
            "INSERT INTO acme_certificates AS kept (directory, names, next_order_at)
             VALUES ($1, $2, now() + make_interval(secs => $3))
             ON CONFLICT (directory, names) DO UPDATE SET next_order_at = excluded.next_order_at
                WHERE kept.next_order_at <= now()
             RETURNING failures",
            subject.directory,
            subject.names,
            lease.as_secs_f64(),
        );
        let failures = failures.fetch_optional(&self.pool).await?;
        Ok(failures.map(|failures| u32::try_from(failures).unwrap_or_default()))
    }

    /// Keeps the right to order for another while.
    pub async fn acme_order_extend(&self, subject: &AcmeSubject, lease: Duration) -> Result<(), StoreError> {
        let extended = sqlx::query!(
            "UPDATE acme_certificates SET next_order_at = now() + make_interval(secs => $3)
             WHERE directory = $1 AND names = $2",
            subject.directory,
            subject.names,
            lease.as_secs_f64(),
        );
        extended.execute(&self.pool).await?;
        Ok(())
    }

    /// Records a certificate, and when its renewal is due.
    pub async fn acme_order_succeeded(
        &self,
        subject: &AcmeSubject,
        pem: &[u8],
        due_in: Duration,
    ) -> Result<(), StoreError> {
        let succeeded = sqlx::query!(
            "UPDATE acme_certificates SET pem = $3, issued_at = now(), failures = 0,
                next_order_at = now() + make_interval(secs => $4)
             WHERE directory = $1 AND names = $2",
            subject.directory,
            subject.names,
            pem,
            due_in.as_secs_f64(),
        );
        succeeded.execute(&self.pool).await?;
        Ok(())
    }

    /// Records that an order failed, and when the next one may begin.
    pub async fn acme_order_failed(
        &self,
        subject: &AcmeSubject,
        next_in: Duration,
    ) -> Result<(), StoreError> {
        let failed = sqlx::query!(
            "UPDATE acme_certificates SET failures = failures + 1,
                next_order_at = now() + make_interval(secs => $3)
             WHERE directory = $1 AND names = $2",
            subject.directory,
            subject.names,
            next_in.as_secs_f64(),
        );
        failed.execute(&self.pool).await?;
        Ok(())
    }
}
