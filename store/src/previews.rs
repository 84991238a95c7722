//! Who may reach the ports of a sandbox.

use wrenn_domain::{ids::SandboxId, preview::Preview};

use crate::{Store, StoreError};

impl Store {
    /// Returns who may reach the ports of a sandbox; none if there is no such sandbox, or it is gone.
    pub async fn sandbox_preview(&self, id: SandboxId) -> Result<Option<Preview>, StoreError> {
        let row = sqlx::query!(
            "SELECT preview_access, preview_token FROM sandboxes WHERE id = $1 AND destroyed_at IS NULL",
            id.0
        );
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| Ok(Preview { access: row.preview_access.parse()?, token: row.preview_token }))
            .transpose()
    }
}
