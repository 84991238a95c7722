//! The audit log as it is read: entries, and the filters by which they are found.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    audit::AuditStatus,
    ids::{ApiKeyId, AuditId, HostId, ParseIdError, TeamId, UserId},
};

/// Entry of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The team whose log shows it; `None` for a change of the platform.
    pub team_id: Option<TeamId>,
    /// Name of that team, if the team was ever known.
    pub team_name: Option<String>,
    /// `team`, or `platform` for administration.
    pub scope: String,
    /// Kind of the principal.
    pub actor_type: String,
    /// UUID of the user, key or host.
    pub actor_id: Option<Uuid>,
    /// Its name at the time of the change; of the control plane, the reason for which it acts.
    pub actor_name: Option<String>,
    /// Name of the action.
    pub action: String,
    /// Kind of the resource.
    pub resource_type: String,
    /// Id of the resource, if there was one.
    pub resource_id: Option<String>,
    /// State of the change.
    pub status: AuditStatus,
    /// Why it failed or was refused.
    pub error: Option<String>,
    /// Further facts, as an object.
    pub metadata: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ended; `None` while it is in flight.
    pub settled_at: Option<DateTime<Utc>>,
}

impl AuditEntry {
    /// Returns the typed id of the user, key or host.
    pub fn actor(&self) -> Option<AuditActor> {
        AuditActor::of(&self.actor_type, self.actor_id)
    }
}

/// Actor that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditActor {
    /// A user.
    User(UserId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A host.
    Host(HostId),
}

impl AuditActor {
    /// Returns the actor of an entry; `None` if actors of this kind have no id.
    pub fn of(actor_type: &str, id: Option<Uuid>) -> Option<Self> {
        let id = id?;
        match actor_type {
            "user" => Some(Self::User(UserId(id))),
            "api_key" => Some(Self::ApiKey(ApiKeyId(id))),
            "host" => Some(Self::Host(HostId(id))),
            _ => None,
        }
    }

    /// Returns the UUID of the user, key or host.
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::User(id) => id.0,
            Self::ApiKey(id) => id.0,
            Self::Host(id) => id.0,
        }
    }
}

impl std::str::FromStr for AuditActor {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text.split('-').next() {
            Some(ApiKeyId::PREFIX) => text.parse().map(Self::ApiKey),
            Some(HostId::PREFIX) => text.parse().map(Self::Host),
            _ => text.parse().map(Self::User),
        }
    }
}

impl std::fmt::Display for AuditActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::ApiKey(id) => id.fmt(f),
            Self::Host(id) => id.fmt(f),
        }
    }
}

/// Entries that are wanted; each part that is `None` leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Kind of the resource.
    pub resource_type: Option<String>,
    /// Name of the action.
    pub action: Option<String>,
    /// The user, key or host that made the change.
    pub actor: Option<AuditActor>,
    /// Time of the oldest entry.
    pub since: Option<DateTime<Utc>>,
    /// Time before which the newest entry was made.
    pub until: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_read_as_they_are_written() {
        for actor in [
            AuditActor::User(UserId::new()),
            AuditActor::ApiKey(ApiKeyId::new()),
            AuditActor::Host(HostId::new()),
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for bad in ["", "usr-", "cl-01jx3m8k2vdqg5z7c9h4f6t8r", "key-\0", "ada"] {
            assert!(bad.parse::<AuditActor>().is_err(), "{bad:?}");
        }
    }
}
