//! API keys of the caller's team.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::api_key::ApiKey;

/// An API key's record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyResponse {
    #[schema(example = "key-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    team_id: String,
    name: String,
    /// First characters of the key, to recognise it by.
    key_prefix: String,
    created_at: DateTime<Utc>,
    /// Time of the last use, to the minute.
    #[schema(required = true)]
    last_used: Option<DateTime<Utc>>,
    /// The key itself; only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    key: Option<String>,
}

impl ApiKeyResponse {
    fn new(record: ApiKey, key: Option<String>) -> Self {
        Self {
            id: record.id.to_string(),
            team_id: record.team_id.to_string(),
            name: record.name,
            key_prefix: record.key_prefix,
            created_at: record.created_at,
            last_used: record.last_used,
            key,
        }
    }
}
