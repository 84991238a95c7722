//! The hosts that are to be compared.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wrenn_base::Clock;
use wrenn_proto::ids::HostId;

/// The hosts that are to be compared, and when; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct DueHosts {
    clock: Clock,
    interval: Duration,
    due: Arc<Mutex<HashMap<HostId, Instant>>>,
}

impl DueHosts {
    pub(crate) fn new(clock: Clock, interval: Duration) -> Self {
        Self { clock, interval, due: Arc::default() }
    }

    /// Says that something which the host said may have been lost. Many such at once lead to one look.
    pub(crate) fn soon(&self, host: HostId) {
        self.due.lock().insert(host, self.clock.now());
    }

    /// Says that the host was compared, or is about to be.
    pub(crate) fn done(&self, host: HostId) {
        self.due.lock().insert(host, self.clock.now() + self.interval);
    }

    /// Returns true if the host is to be compared now; one of which nothing is known is.
    pub(crate) fn is_due(&self, host: HostId) -> bool {
        self.due.lock().get(&host).is_none_or(|due| *due <= self.clock.now())
    }

    /// Forgets a host.
    pub(crate) fn forget(&self, host: HostId) {
        self.due.lock().remove(&host);
    }
}
