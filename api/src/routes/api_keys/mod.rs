//! API keys of the caller's team.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_domain::{api_key::ApiKey, scope::Scope};

/// Part of the interface that an API key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ApiKeyScope {
    /// Everything that the team's lists and records show; nothing inside a capsule.
    Read,
    /// Capsules, what happens inside them, and the templates that are made of them.
    Capsules,
    /// Builds of the team's templates.
    Builds,
    /// The team: its members, keys and settings.
    Admin,
}

impl From<Scope> for ApiKeyScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Capsules => Self::Capsules,
            Scope::Builds => Self::Builds,
            Scope::Admin => Self::Admin,
        }
    }
}

impl From<ApiKeyScope> for Scope {
    fn from(scope: ApiKeyScope) -> Self {
        match scope {
            ApiKeyScope::Read => Self::Read,
            ApiKeyScope::Capsules => Self::Capsules,
            ApiKeyScope::Builds => Self::Builds,
            ApiKeyScope::Admin => Self::Admin,
        }
    }
}

/// An API key's record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyResponse {
    #[schema(example = "key-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    team_id: String,
    name: String,
    /// First characters of the key, to recognise it by.
    key_prefix: String,
    /// Parts of the interface that the key opens; no more than its maker's role allows at the time of a request.
    scopes: Vec<ApiKeyScope>,
    /// Id of the user who made it. The key ends when the user leaves the team.
    created_by: String,
    created_at: DateTime<Utc>,
    /// Time at which the key ends; null means never.
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
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
            scopes: record.scopes.iter().map(Into::into).collect(),
            created_by: record.created_by.to_string(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used: record.last_used,
            key,
        }
    }
}
