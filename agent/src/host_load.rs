//! What this host has, and what it has left.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use wrenn_proto::agent::{Capacity, Heartbeat};

/// Bytes in a MiB.
pub(crate) const MIB: u64 = 1024 * 1024;

/// Returns what the host has in all, with a volume for `disk_bytes`; what cannot be found out is 0.
pub(crate) fn capacity(disk_bytes: u64) -> Capacity {
    let host = host(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(ram()));
    Capacity {
        cpu_cores: host.as_ref().map_or(0, |host| u32::try_from(host.cpus().len()).unwrap_or(u32::MAX)),
        memory_mb: host.as_ref().map_or(0, System::total_memory) / MIB,
        disk_mb: disk_bytes / MIB,
    }
}

/// Returns what the host has left, with room for `disk_bytes` on its volume; what cannot be found out is 0.
pub(crate) fn load(disk_bytes: u64) -> Heartbeat {
    let host = host(RefreshKind::nothing().with_memory(ram()));
    Heartbeat {
        memory_available_mb: host.as_ref().map_or(0, System::available_memory) / MIB,
        disk_available_mb: disk_bytes / MIB,
        load_1m: System::load_average().map_or(0.0, |load| load.one),
        machines: 0,
    }
}

fn host(figures: RefreshKind) -> Option<System> {
    System::new_with_specifics(figures)
        .inspect_err(|error| tracing::warn!(%error, "the host does not tell what it has"))
        .ok()
}

fn ram() -> MemoryRefreshKind {
    MemoryRefreshKind::nothing().with_ram()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_something_and_not_more_left_than_it_has() {
        let (has, left) = (capacity(3 * MIB), load(2 * MIB));
        assert!(has.cpu_cores > 0 && has.memory_mb > 0);
        assert!(left.memory_available_mb > 0 && left.memory_available_mb <= has.memory_mb);
        assert_eq!((has.disk_mb, left.disk_available_mb), (3, 2));
        assert!(left.load_1m >= 0.0);
    }
}
