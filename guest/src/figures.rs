//! Use of the capsule's memory, processors and disk, as its kernel has it.

use std::{fs, io};

use nix::sys::statvfs::statvfs;
use wrenn_proto::guest::FiguresResponse;

/// Reads the figures. Blocks if the root filesystem hangs.
///
/// # Errors
/// If the kernel does not tell.
pub fn read() -> io::Result<FiguresResponse> {
    let memory = Memory::parse(&fs::read_to_string("/proc/meminfo")?);
    let [load_1m, load_5m, load_15m] = loads(&fs::read_to_string("/proc/loadavg")?);
    let disk = statvfs("/")?;
    let disk_bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
    Ok(FiguresResponse {
        memory_total_bytes: memory.total,
        memory_used_bytes: memory.total.saturating_sub(memory.free + memory.cached),
        memory_cached_bytes: memory.cached,
        load_1m,
        load_5m,
        load_15m,
        disk_total_bytes: disk_bytes(disk.blocks()),
        disk_used_bytes: disk_bytes(disk.blocks().saturating_sub(disk.blocks_free())),
    })
}

/// Memory in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Memory {
    total: u64,
    free: u64,
    /// Page cache, buffers, and what the kernel gives back.
    cached: u64,
}

impl Memory {
    fn parse(meminfo: &str) -> Self {
        let mut memory = Self::default();
        for line in meminfo.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let kib = value.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
            let bytes = kib.saturating_mul(1024);
            match name {
                "MemTotal" => memory.total = bytes,
                "MemFree" => memory.free = bytes,
                "Buffers" | "Cached" | "SReclaimable" => memory.cached += bytes,
                // Part of `Cached`, and not given back.
                "Shmem" => memory.cached = memory.cached.saturating_sub(bytes),
                _ => {}
            }
        }
        memory
    }
}

/// Returns the load averages; 0 for one that is missing.
fn loads(loadavg: &str) -> [f64; 3] {
    let mut loads = loadavg.split(' ').map(|load| load.parse().unwrap_or(0.0));
    std::array::from_fn(|_| loads.next().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let meminfo = "MemTotal:        1000 kB\nMemFree:          300 kB\nMemAvailable:     600 kB\nBuffers:           50 kB\n\
                       Cached:           250 kB\nSwapCached:         7 kB\nShmem:             20 kB\nSReclaimable:      40 kB\n";
        let memory = Memory::parse(meminfo);
        assert_eq!(memory, Memory { total: 1_024_000, free: 307_200, cached: 320 * 1024 });
        assert_eq!(loads("0.50 0.25 1.00 2/300 1234\n"), [0.5, 0.25, 1.0]);
        assert_eq!(loads(""), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn this_machine_uses_no_more_than_it_has() {
        let figures = read().unwrap();
        assert!(figures.memory_total_bytes > 0 && figures.disk_total_bytes > 0);
        assert!(figures.memory_used_bytes + figures.memory_cached_bytes <= figures.memory_total_bytes);
        assert!(figures.disk_used_bytes <= figures.disk_total_bytes);
    }
}
