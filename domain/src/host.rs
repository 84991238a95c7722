//! Hosts: the machines that run sandboxes.

use chrono::{DateTime, Utc};

use crate::{
    ids::{HostId, TeamId, UserId},
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
    /// State of the host.
    pub status: HostStatus,
    /// When it was heard of last.
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// User who made the record.
    pub created_by: Option<UserId>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When the record changed last.
    pub updated_at: DateTime<Utc>,
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
