//! What is publicly known of the machines: written by the machine actors, read by everybody else.
//!
//! An inventory must not wait for a machine that is busy, and a tunnel must not pass through its mailbox.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use wrenn_proto::{agent as wire, ids::SandboxId};

use super::time_sync::TimeSync;
use crate::guest::{Guest, SESSIONS_MAX};

/// The way into a running machine.
#[derive(Clone)]
pub struct Access {
    /// Its guest.
    pub guest: Arc<dyn Guest>,
    /// Says when the machine is gone, or about to go, and why.
    pub gone: Gone,
    /// One for each tunnel that may be opened yet.
    pub tunnel_permits: Arc<Semaphore>,
    time_sync: Arc<TimeSync>,
}

impl Access {
    /// Makes the way to this guest.
    pub(super) fn new(guest: Arc<dyn Guest>, time_sync: TimeSync) -> Self {
        let tunnel_permits = Arc::new(Semaphore::new(SESSIONS_MAX));
        Self { guest, gone: Gone::default(), tunnel_permits, time_sync: Arc::new(time_sync) }
    }

    /// Notes that the machine stood still for a while, so that its clock is behind.
    pub(super) fn note_stood_still(&self) {
        self.time_sync.note_stood_still();
    }

    fn close(&self, reason: String) {
        self.time_sync.stop();
        self.gone.close(reason);
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("gone", &self.gone).finish_non_exhaustive()
    }
}

/// Whether the way into a machine was closed, and why; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    closed: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl Gone {
    /// Waits until the way is closed, and says why.
    pub async fn wait(&self) -> String {
        self.closed.cancelled().await;
        self.reason.get().cloned().unwrap_or_default()
    }

    fn close(&self, reason: String) {
        // The first reason is the cause of all others.
        let _ = self.reason.set(reason);
        self.closed.cancel();
    }
}

#[derive(Default)]
struct Entry {
    report: wire::MachineReport,
    access: Option<Access>,
}

/// The board of one host; clones share it.
#[derive(Clone)]
pub struct Board {
    entries: Arc<Mutex<HashMap<SandboxId, Entry>>>,
    /// Counts changes, so that somebody can wait for the next one.
    changes: Arc<watch::Sender<u64>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { entries: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("machines", &self.entries.lock().len()).finish()
    }
}

impl Board {
    /// Returns the reports of all machines, in the order of their ids.
    pub fn reports(&self) -> Vec<wire::MachineReport> {
        let mut reports: Vec<_> = self.entries.lock().values().map(|entry| entry.report.clone()).collect();
        reports.sort_by(|a, b| a.sandbox_id.cmp(&b.sandbox_id));
        reports
    }

    /// Returns the report of one machine; none if there is no such machine.
    pub fn report(&self, id: SandboxId) -> Option<wire::MachineReport> {
        self.entries.lock().get(&id).map(|entry| entry.report.clone())
    }

    /// Returns the way into a machine, if it runs.
    pub fn access(&self, id: SandboxId) -> Option<Access> {
        self.entries.lock().get(&id)?.access.clone()
    }

    /// Returns the number of machines that hold memory, or may do so in a moment.
    pub fn live_count(&self) -> u32 {
        use wire::MachineState::{Running, Starting};
        let entries = self.entries.lock();
        let live = entries.values().filter(|Entry { report, access }| {
            report.busy || access.is_some() || matches!(report.state(), Running | Starting)
        });
        u32::try_from(live.count()).unwrap_or(u32::MAX)
    }

    /// Waits until `condition` holds; it is asked again after every change.
    pub async fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        while !condition(self) {
            // The sender lives in `self`, so waiting cannot fail.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Publishes what is true of a machine.
    pub(super) fn publish(&self, id: SandboxId, report: wire::MachineReport) {
        self.entries.lock().entry(id).or_default().report = report;
        self.note_change();
    }

    /// Opens the way into a machine.
    pub(super) fn open(&self, id: SandboxId, access: Access) {
        if let Some(entry) = self.entries.lock().get_mut(&id)
            && let Some(old) = entry.access.replace(access)
        {
            old.close("the machine was started anew".to_owned());
        }
        self.note_change();
    }

    /// Closes the way into a machine, and ends everybody who went in, with this reason.
    pub(super) fn close(&self, id: SandboxId, reason: impl Into<String>) {
        let access = self.entries.lock().get_mut(&id).and_then(|entry| entry.access.take());
        if let Some(access) = access {
            access.close(reason.into());
            self.note_change();
        }
    }

    /// Forgets a machine.
    pub(super) fn remove(&self, id: SandboxId) {
        self.close(id, "the machine is gone");
        self.entries.lock().remove(&id);
        self.note_change();
    }

    fn note_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}
