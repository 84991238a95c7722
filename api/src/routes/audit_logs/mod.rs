//! The audit log: who changed what, and how it ended.
//!
//! ```text
//!   query ─┬─▶ a page as JSON
//!          └─▶ export ─▶ page ─▶ page ─▶ …   CSV or JSON lines, as fast as the client reads
//! ```

mod export;
pub(crate) mod list;
mod query;

pub(crate) use self::query::{AuditQuery, respond};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wrenn_domain::{audit::AuditStatus, audit_log::AuditEntry};

/// State of a change.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AuditStatus)]
pub(crate) enum AuditStatusName {
    /// Begun, and not ended.
    Accepted,
    Succeeded,
    /// Begun, and ended without success.
    Failed,
    /// Permitted, and not begun.
    Refused,
}

impl From<AuditStatus> for AuditStatusName {
    fn from(status: AuditStatus) -> Self {
        match status {
            AuditStatus::Accepted => Self::Accepted,
            AuditStatus::Succeeded => Self::Succeeded,
            AuditStatus::Failed => Self::Failed,
            AuditStatus::Refused => Self::Refused,
        }
    }
}

/// A change that was permitted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLogEntry {
    id: String,
    /// `user`, `api_key`, `host`, `system` or `anonymous`.
    actor_type: String,
    /// Id of the user, key or host.
    #[schema(required = true)]
    actor_id: Option<String>,
    /// The actor's name at the time; of the system, the reason for which it acted.
    #[schema(required = true)]
    actor_name: Option<String>,
    resource_type: String,
    /// Null if there was no resource yet.
    #[schema(required = true)]
    resource_id: Option<String>,
    #[schema(example = "capsule.create")]
    action: String,
    /// `team`, or `platform` for administration.
    scope: String,
    status: AuditStatusName,
    /// Reason of a failure or refusal.
    #[schema(required = true)]
    error: Option<String>,
    /// Further facts, as an object of texts.
    #[schema(value_type = Object)]
    metadata: Value,
    created_at: DateTime<Utc>,
    /// When the change ended; null while it is in flight.
    #[schema(required = true)]
    settled_at: Option<DateTime<Utc>>,
}

impl From<AuditEntry> for AuditLogEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            actor_id: entry.actor().map(|actor| actor.to_string()),
            actor_type: entry.actor_type,
            actor_name: entry.actor_name,
            resource_type: entry.resource_type,
            resource_id: entry.resource_id,
            action: entry.action,
            scope: entry.scope,
            status: entry.status.into(),
            error: entry.error,
            metadata: entry.metadata,
            created_at: entry.created_at,
            settled_at: entry.settled_at,
        }
    }
}

/// A change that was permitted, and the team whose log shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminAuditLogEntry {
    #[serde(flatten)]
    entry: AuditLogEntry,
    /// Null for a change of the platform.
    #[schema(required = true)]
    team_id: Option<String>,
    #[schema(required = true)]
    team_name: Option<String>,
}

impl From<AuditEntry> for AdminAuditLogEntry {
    fn from(mut entry: AuditEntry) -> Self {
        let team_name = entry.team_name.take();
        Self { team_id: entry.team_id.map(|team| team.to_string()), team_name, entry: entry.into() }
    }
}
