//! Hosts: the machines that run sandboxes.

use chrono::{DateTime, Utc};

use crate::{
    ids::{HostId, ServerId, TeamId, TemplateId, UserId},
    limits::{MAX_HOST_TAGS, MAX_HOSTS_OF_TEAM},
    team::TeamRefusal,
    word::words,
};

words! {
    /// State of a host.
    HostStatus, "host status" {
        /// The host never attached.
        Pending = "pending",
        /// Its agent is attached.
        Online = "online",
        /// Its agent is not attached.
        Offline = "offline",
        /// The host takes no new sandboxes.
        Draining = "draining",
        /// The host has been silent for so long that its sandboxes count as missing.
        Unreachable = "unreachable",
    }
}

words! {
    /// Rule for new sandboxes on a host.
    Intake, "host intake" {
        /// The host takes new sandboxes.
        Open = "open",
        /// The host is drained: it takes no new sandboxes, and keeps those that it has.
        Closed = "closed",
    }
}

words! {
    /// Owner of a host.
    HostKind, "host type" {
        /// The platform.
        Regular = "regular",
        /// A team, which brought it.
        Byoc = "byoc",
    }
}

/// Hosts on which the sandboxes of a team run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPool {
    /// The platform's hosts.
    Platform,
    /// The hosts that this team brought, and no others.
    OwnHosts(TeamId),
}

impl HostPool {
    /// Returns true if a host is part of the pool. `team` is the team that brought the host.
    pub fn has(self, team: Option<TeamId>) -> bool {
        match self {
            Self::Platform => team.is_none(),
            Self::OwnHosts(own) => team == Some(own),
        }
    }
}

/// Resources that a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostCapacity {
    /// Processors.
    pub cpu_cores: u32,
    /// Memory for sandboxes.
    pub memory_mb: u64,
    /// Size of the volume that holds their disks.
    pub disk_mb: u64,
}

/// Count of the servers to which a host was attached, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// Attachment of a host to a server, which alone speaks for the host and its sandboxes as long as it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// The host.
    pub host: HostId,
    /// The server.
    pub server: ServerId,
    /// Number of the attachment.
    pub epoch: Epoch,
}

/// A host as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// The team that brought it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// Provider from whom the machine is rented.
    pub provider: Option<String>,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Its processors' architecture.
    pub arch: Option<String>,
    /// Resources that it offers; `None` until it registered.
    pub capacity: Option<HostCapacity>,
    /// Its address, for people.
    pub address: Option<String>,
    /// State of the host's agent, whether or not the host is drained.
    pub status: HostStatus,
    /// Rule for new sandboxes.
    pub intake: Intake,
    /// Its attachment; `None` if no server holds it.
    pub attachment: Option<Attachment>,
    /// When it was heard of last.
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// User who made the record.
    pub created_by: Option<UserId>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When the record changed last.
    pub updated_at: DateTime<Utc>,
}

impl Host {
    /// Returns its kind.
    pub const fn kind(&self) -> HostKind {
        match self.team_id {
            Some(_) => HostKind::Byoc,
            None => HostKind::Regular,
        }
    }

    /// Returns the status that people see: an attached host that takes nothing new is draining.
    pub fn shown_status(&self) -> HostStatus {
        match (self.status, self.intake) {
            (HostStatus::Online, Intake::Closed) => HostStatus::Draining,
            (status, _) => status,
        }
    }
}

/// A template whose files no other host has, and which ends with its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateOnHost {
    /// Its id.
    pub id: TemplateId,
    /// Its team.
    pub team_id: TeamId,
    /// Its name.
    pub name: String,
    /// True if its team sees it; false if it is a kept step of a build, or not ready yet.
    pub is_visible: bool,
}

/// The reason for which the rules for hosts do not allow a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostRefusal {
    /// The host does not exist, or is deleted.
    #[error("there is no host {0}")]
    Gone(HostId),
    /// The team, or the principal's role in it, does not allow it.
    #[error(transparent)]
    Team(#[from] TeamRefusal),
    /// The team may not bring hosts.
    #[error("the team may not bring hosts of its own; a platform administrator can allow it")]
    NoOwnHosts,
    /// The team has as many hosts as it may.
    #[error("the team has {MAX_HOSTS_OF_TEAM} hosts, which is the most; delete one first")]
    TooManyHosts,
    /// The host is attached.
    #[error("host {0} is online, so it needs no registration token; stop its agent first")]
    Online(HostId),
    /// The host has as many tags as it may.
    #[error("tag: the host has {MAX_HOST_TAGS} tags, which is the most; remove one first")]
    TooManyTags,
    /// The host does not have the tag.
    #[error("the host has no tag `{0}`")]
    NoTag(String),
}

/// Condition under which a host is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostDeletion {
    /// The host has no sandboxes.
    IfEmpty,
    /// Its sandboxes end with it.
    Forced,
}

/// Content of a new host's record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewHost {
    /// The team that brings it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// Provider from whom the machine is rented.
    pub provider: Option<String>,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// User who makes the record.
    pub created_by: Option<UserId>,
}
