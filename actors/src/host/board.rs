//! How every host is doing, for whoever wants to know without asking its actor.
//!
//! Each HostConnection alone writes its own entry; placement, health and the metrics read.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use wrenn_domain::host::{HostCapacity, HostStatus};
use wrenn_proto::ids::{HostId, TeamId};

/// What a heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostLoad {
    /// Memory that is free.
    pub memory_available_mb: u64,
    /// Disk that is free on the volume for sandboxes.
    pub disk_available_mb: u64,
    /// Load average over a minute.
    pub load_1m: f64,
    /// Machines that it runs or keeps.
    pub machines: u32,
}

/// What an attached agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentInfo {
    /// Its version.
    pub version: String,
    /// What runs its machines.
    pub vmm: String,
    /// The host's kernel.
    pub kernel: String,
    /// Changes with every boot of the host.
    pub boot_id: String,
    /// When it attached.
    pub attached_at: DateTime<Utc>,
}

/// How a host is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct HostView {
    /// Its id.
    pub id: HostId,
    /// The team that brought it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// `online` exactly when an agent is attached.
    pub status: HostStatus,
    /// What it offers.
    pub capacity: HostCapacity,
    /// What its agent said last; none since it attached last.
    pub load: Option<HostLoad>,
    /// Its agent; none while none is attached.
    pub agent: Option<AgentInfo>,
}

/// The entries of all hosts; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostBoard {
    entries: Arc<RwLock<BTreeMap<HostId, HostView>>>,
}

impl HostBoard {
    /// Replaces a host's entry.
    pub(crate) fn publish(&self, view: HostView) {
        self.entries.write().insert(view.id, view);
    }

    /// Removes a host's entry.
    pub(crate) fn remove(&self, host: HostId) {
        self.entries.write().remove(&host);
    }

    /// Returns true if an agent of the host is attached.
    pub(crate) fn is_online(&self, host: HostId) -> bool {
        self.entries.read().get(&host).is_some_and(|view| view.status == HostStatus::Online)
    }

    /// Returns a host's entry.
    pub(crate) fn view(&self, host: HostId) -> Option<HostView> {
        self.entries.read().get(&host).cloned()
    }

    /// Returns all entries, sorted by id.
    pub(crate) fn snapshot(&self) -> Vec<HostView> {
        self.entries.read().values().cloned().collect()
    }
}
