//! What this host has, and what it has left.

use std::{fs, thread};

use wrenn_proto::agent::{Capacity, Heartbeat};

/// Bytes in a MiB.
pub(crate) const MIB: u64 = 1024 * 1024;

/// What the host has in all, with a volume for `disk_bytes`; what cannot be found out is 0.
pub(crate) fn capacity(disk_bytes: u64) -> Capacity {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Capacity {
        cpu_cores: u32::try_from(cores).unwrap_or(u32::MAX),
        memory_mb: meminfo_mb("MemTotal:"),
        disk_mb: disk_bytes / MIB,
    }
}

/// What the host has left, with room for `disk_bytes` on its volume; what cannot be found out is 0.
pub(crate) fn load(disk_bytes: u64) -> Heartbeat {
    let loadavg = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Heartbeat {
        memory_available_mb: meminfo_mb("MemAvailable:"),
        disk_available_mb: disk_bytes / MIB,
        load_1m: loadavg.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        machines: 0,
    }
}

fn meminfo_mb(field: &str) -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_something_and_not_more_left_than_it_has() {
        let (has, left) = (capacity(3 * MIB), load(2 * MIB));
        assert!(has.cpu_cores > 0 && has.memory_mb > 0);
        assert!(left.memory_available_mb <= has.memory_mb);
        assert_eq!((has.disk_mb, left.disk_available_mb), (3, 2));
        assert!(left.load_1m >= 0.0);
    }
}
