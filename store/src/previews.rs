//! Who may reach the ports of a sandbox.

use std::str::FromStr;

use wrenn_proto::ids::SandboxId;

use crate::{Store, StoreError};

/// Who may reach the ports of a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PreviewAccess {
    /// Everybody who knows the address.
    Public,
    /// Those who know the token.
    #[default]
    Token,
}

impl PreviewAccess {
    /// The text in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Token => "token",
        }
    }
}

impl FromStr for PreviewAccess {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text {
            "public" => Ok(Self::Public),
            "token" => Ok(Self::Token),
            _ => Err(StoreError::UnknownValue { what: "preview access", value: text.to_owned() }),
        }
    }
}

/// The ports of a sandbox, as whoever calls at them is let in or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Whether the token is needed.
    pub access: PreviewAccess,
    /// The token.
    pub token: String,
}

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
