//! API keys: the secrets of programs. Only their hashes are kept.

use chrono::{DateTime, Utc};

use crate::{
    ids::{ApiKeyId, TeamId, UserId},
    scope::Scopes,
};

/// SHA-256 of a whole key.
pub type KeyHash = [u8; 32];

/// The record of one key; the key itself is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The team that the key acts for.
    pub team_id: TeamId,
    /// Name for people.
    pub name: String,
    /// First characters of the key, to recognise it by.
    pub key_prefix: String,
    /// Maker of the key.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used: Option<DateTime<Utc>>,
    /// Scopes that it opens.
    pub scopes: Scopes,
    /// When it ends; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Content of a new key's record.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The team that the key acts for.
    pub team_id: TeamId,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the whole key.
    pub key_hash: KeyHash,
    /// First characters of the key.
    pub key_prefix: String,
    /// Maker of the key.
    pub created_by: UserId,
    /// Scopes that it opens; at least one.
    pub scopes: Scopes,
    /// When it ends; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Whom a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKeyIdentity {
    /// The key's record.
    pub id: ApiKeyId,
    /// The team that it acts for.
    pub team_id: TeamId,
    /// Maker of the key.
    pub created_by: UserId,
    /// Scopes that it opens, no more than its maker may do now.
    pub scopes: Scopes,
    /// False when the account that made it is switched off.
    pub creator_is_active: bool,
}
