//! Teams and users as the administrators of the platform see them.

use chrono::{DateTime, Utc};

use crate::{ids::UserId, lifecycle::SandboxStatus, quota::Quota, team::Team};

/// Owner of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamOwner {
    /// The account.
    pub id: UserId,
    /// Name for people.
    pub name: String,
    /// The account's address.
    pub email: String,
}

/// A team, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamOverview {
    /// The team.
    pub team: Team,
    /// Its owner; `None` if the account is gone.
    pub owner: Option<TeamOwner>,
    /// Number of its members.
    pub members: u64,
    /// Number of its capsules that run.
    pub running_capsules: u64,
    /// Its own limits.
    pub quota: Quota,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A user, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOverview {
    /// The account.
    pub id: UserId,
    /// Its address.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// True if it administers the platform.
    pub is_admin: bool,
    /// False once an administrator switched it off.
    pub is_active: bool,
    /// Number of the teams to which it belongs.
    pub teams_joined: u64,
    /// Number of the teams that it owns.
    pub teams_owned: u64,
    /// When it signed up.
    pub created_at: DateTime<Utc>,
}

/// Capsules of all teams that share a status and are not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxCount {
    /// The status.
    pub status: SandboxStatus,
    /// Their number.
    pub count: i64,
    /// Their processors.
    pub vcpus: i64,
    /// Their memory.
    pub memory_mb: i64,
}

/// Builds of all teams that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenBuilds {
    /// Builds that wait for a worker.
    pub pending: i64,
    /// Builds that a worker has.
    pub running: i64,
}

/// Switch of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountSwitch {
    /// The account can be used.
    On,
    /// The account is disabled, and its sessions and keys have ended.
    Off,
}

/// Administration of the platform by an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRight {
    /// The account administers the platform.
    Granted,
    /// The account does not.
    Withdrawn,
}

/// Hosts of its own that a team may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnHosts {
    /// The team may bring hosts.
    Allowed,
    /// The team may not bring hosts.
    Forbidden,
}

/// Former keys that signed tokens, when another one is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormerKeys {
    /// Their tokens stay valid until they expire.
    Keep,
    /// Their tokens end: everybody signs in again.
    End,
}
