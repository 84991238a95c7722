//! Hosts: the machines that run sandboxes.

use chrono::{DateTime, Utc};

use crate::{
    ids::{HostId, TeamId, UserId},
    word::words,
};

words! {
    /// How a host is doing.
    HostStatus, "host status" {
        /// It never attached.
        Pending = "pending",
        /// Its agent is attached.
        Online = "online",
        /// Its agent is not attached.
        Offline = "offline",
        /// It takes no new sandboxes.
        Draining = "draining",
        /// It has not been heard of for so long that its sandboxes count as missing.
        Unreachable = "unreachable",
    }
}

/// What a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostCapacity {
    /// Processors.
    pub cpu_cores: u32,
    /// Memory for sandboxes.
    pub memory_mb: u64,
    /// Size of the volume that holds their disks.
    pub disk_mb: u64,
}

/// A host as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// The team that brought it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// Who rents it out.
    pub provider: Option<String>,
    /// Where it stands.
    pub availability_zone: Option<String>,
    /// Its processors' architecture.
    pub arch: Option<String>,
    /// What it offers; none until it registered.
    pub capacity: Option<HostCapacity>,
    /// Its address, for people.
    pub address: Option<String>,
    /// How it is doing.
    pub status: HostStatus,
    /// When it was heard of last.
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// Who made the record.
    pub created_by: Option<UserId>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When the record changed last.
    pub updated_at: DateTime<Utc>,
}

/// What a host's record is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewHost {
    /// The team that brings it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// Who rents it out.
    pub provider: Option<String>,
    /// Where it stands.
    pub availability_zone: Option<String>,
    /// Who makes the record.
    pub created_by: Option<UserId>,
}
