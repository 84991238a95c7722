//! The promises made of each host.

use std::collections::HashMap;

use wrenn_domain::{placement::Demand, sandbox::SandboxReservation};
use wrenn_proto::ids::{HostId, SandboxId};

/// Promises made of each host; sums are kept beside the entries and always agree with them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<SandboxId, (HostId, Demand)>,
    sums: HashMap<HostId, Demand>,
}

impl Ledger {
    /// Reads what the database says.
    pub(crate) fn rebuild(reservations: Vec<SandboxReservation>) -> Self {
        let mut ledger = Self::default();
        for reservation in reservations {
            let demand = Demand {
                vcpus: reservation.vcpus.into(),
                memory_mb: reservation.memory_mb.into(),
                disk_mb: reservation.disk_size_mb.into(),
            };
            ledger.reserve(reservation.id, reservation.host_id, demand.held(reservation.hold));
        }
        ledger
    }

    /// Promises; a sandbox that had something already has only this afterwards.
    pub(crate) fn reserve(&mut self, sandbox: SandboxId, host: HostId, demand: Demand) {
        self.release(sandbox);
        if demand == Demand::default() {
            return;
        }
        self.entries.insert(sandbox, (host, demand));
        *self.sums.entry(host).or_default() += demand;
    }

    /// Takes a promise back, and returns it; harmless if there is none.
    pub(crate) fn release(&mut self, sandbox: SandboxId) -> Option<(HostId, Demand)> {
        let (host, demand) = self.entries.remove(&sandbox)?;
        if let Some(sum) = self.sums.get_mut(&host) {
            sum.vcpus -= demand.vcpus;
            sum.memory_mb -= demand.memory_mb;
            sum.disk_mb -= demand.disk_mb;
        }
        Some((host, demand))
    }

    /// Forgets everything that is promised of a host.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.entries.retain(|_, (promised, _)| *promised != host);
        self.sums.remove(&host);
    }

    /// Returns what is promised of a host.
    pub(crate) fn reserved(&self, host: HostId) -> Demand {
        self.sums.get(&host).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_twice_and_released_twice_counts_once() {
        let (sandbox, host) = (SandboxId::new(), HostId::new());
        let demand = Demand { vcpus: 2, memory_mb: 512, disk_mb: 5120 };
        let mut ledger = Ledger::default();
        ledger.reserve(sandbox, host, demand);
        ledger.reserve(sandbox, host, demand);
        assert_eq!(ledger.reserved(host), demand);
        ledger.release(sandbox);
        ledger.release(sandbox);
        assert_eq!(ledger.reserved(host), Demand::default());
        ledger.reserve(sandbox, host, demand);
        ledger.forget(host);
        assert_eq!((ledger.reserved(host), ledger.release(sandbox)), (Demand::default(), None));
    }
}
