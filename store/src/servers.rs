//! Servers, and the hosts that are attached to them.
//!
//! ```text
//!   server_register ─▶ server_renew … ─▶ server_end
//!                           │ silent: servers_remove_silent, by any other server
//!                           ▼
//!   hosts: attached_to = NULL ─ hosts_claim ─▶ attached_to, epoch + 1 ◀─ host_attached (its agent dials)
//! ```
//!
//! A host is attached to one server at a time, which alone speaks for it and for its sandboxes. The epoch grows whenever
//! that becomes another server; statements about the host and its sandboxes repeat server and epoch in their `WHERE`. A
//! statement that had begun before the host changed hands may still be committed after; generations fence its row, and the
//! reconciler finds it.
//!
//! Liveness is judged by Postgres' clock alone. A server that was taken for dead learns it at its next renewal, or by the
//! first write that changes nothing.

use std::time::Duration;

use wrenn_domain::{
    host::{Attachment, Epoch},
    ids::{HostId, ServerId, TemplateId},
};

use crate::{Store, StoreError};

impl Store {
    /// Writes that a server lives; one that is there already is renewed.
    pub async fn server_register(&self, server: ServerId) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO servers (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()",
            server.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes that a server still lives. Returns false if it was taken for dead.
    pub async fn server_renew(&self, server: ServerId) -> Result<bool, StoreError> {
        let renewed = sqlx::query!("UPDATE servers SET seen_at = now() WHERE id = $1", server.0);
        Ok(renewed.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Writes that a server has ended, which sets its hosts free.
    pub async fn server_end(&self, server: ServerId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM servers WHERE id = $1", server.0).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes the servers that were silent for longer than `lease`, which sets their hosts free; returns them.
    pub async fn servers_remove_silent(&self, lease: Duration) -> Result<Vec<ServerId>, StoreError> {
        let removed = sqlx::query_scalar!(
            "DELETE FROM servers WHERE seen_at < now() - make_interval(secs => $1) RETURNING id",
            lease.as_secs_f64()
        );
        Ok(removed.fetch_all(&self.pool).await?.into_iter().map(ServerId).collect())
    }

    /// Attaches the hosts that are attached to no server; returns how many.
    pub async fn hosts_claim(&self, server: ServerId) -> Result<u64, StoreError> {
        let claimed = sqlx::query!(
            "UPDATE hosts SET attached_to = $1, attachment_epoch = attachment_epoch + 1, attached_at = now(),
                updated_at = now()
             WHERE attached_to IS NULL AND deleted_at IS NULL",
            server.0
        );
        Ok(claimed.execute(&self.pool).await?.rows_affected())
    }

    /// Returns the templates whose deletion was begun by a server that is gone.
    pub async fn templates_deleted_by_nobody(&self) -> Result<Vec<TemplateId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM templates WHERE status = 'deleting' AND deleted_by IS NULL ORDER BY id"
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
    }

    /// Returns the server to which a host is attached, if there is one.
    pub async fn host_attachment(&self, host: HostId) -> Result<Option<Attachment>, StoreError> {
        let row = sqlx::query!("SELECT attached_to, attachment_epoch FROM hosts WHERE id = $1", host.0);
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.and_then(|row| {
            let epoch = Epoch(row.attachment_epoch.cast_unsigned());
            Some(Attachment { host, server: ServerId(row.attached_to?), epoch })
        }))
    }
}
