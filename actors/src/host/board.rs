//! The state of every host, for whoever wants to know without asking its actor.
//!
//! Each HostConnection alone writes its own entry; placement, health and the metrics read.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use wrenn_domain::host::{Attachment, HostCapacity, HostStatus, Intake};
use wrenn_proto::ids::{HostId, TeamId};

/// Content of a heartbeat.
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

/// Facts about an attached agent.
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

/// State of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostView {
    /// Its id.
    pub id: HostId,
    /// The team that brought it; none for a host of the platform.
    pub team_id: Option<TeamId>,
    /// State of the host; of one that another server holds, as it was read last.
    pub status: HostStatus,
    /// Rule for new sandboxes.
    pub intake: Intake,
    /// What it offers.
    pub capacity: HostCapacity,
    /// What its agent said last; none since it attached last.
    pub load: Option<HostLoad>,
    /// Its agent; none while none is attached.
    pub agent: Option<AgentInfo>,
    /// Its attachment to this server; `None` if another server, or none, speaks for it.
    pub attachment: Option<Held>,
}

impl HostView {
    /// Returns true if an agent of the host is attached to this server.
    pub fn is_online(&self) -> bool {
        self.status == HostStatus::Online && self.attachment.is_some()
    }

    /// Returns true if new sandboxes may be placed on the host by this server.
    pub fn takes_sandboxes(&self) -> bool {
        self.is_online() && self.intake == Intake::Open
    }
}

/// Attachment of a host to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The attachment.
    pub attachment: Attachment,
    /// When this server knew of it; what is read afterwards no other server changes any more.
    pub since: Instant,
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

    /// Returns true if an agent of the host is attached to this server.
    pub(crate) fn is_online(&self, host: HostId) -> bool {
        self.entries.read().get(&host).is_some_and(HostView::is_online)
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
