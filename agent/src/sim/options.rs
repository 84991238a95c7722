//! Behaviour of a simulated host.

use std::time::Duration;

use wrenn_proto::agent::Capacity;

/// Memory of machines that were booted, kept by a simulated host for the next ones of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootSnapshots {
    /// Every machine of a template without memory is booted.
    Off,
    /// Only the first one of a kind is, if its disk has the usual size at least.
    On,
}

/// Behaviour of a simulated host.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Capacity that the host reports.
    pub capacity: Capacity,
    /// File names of the images it has; empty means any.
    pub images: Vec<String>,
    /// Time that a guest takes from its boot to its hello.
    pub boot_delay: Duration,
    /// Time that a machine takes to be dead once it is killed.
    pub kill_delay: Duration,
    /// Limit of the time from the boot to the hello.
    pub boot_timeout: Duration,
    /// Says if a start may be a restore.
    pub boot_snapshots: BootSnapshots,
}

impl Default for SimOptions {
    /// 8 cores, 16 GiB, 100 GiB, any image, no delays, no boot snapshots.
    fn default() -> Self {
        Self {
            capacity: Capacity { cpu_cores: 8, memory_mb: 16 * 1024, disk_mb: 100 * 1024 },
            images: Vec::new(),
            boot_delay: Duration::ZERO,
            kill_delay: Duration::ZERO,
            boot_timeout: Duration::from_secs(10),
            boot_snapshots: BootSnapshots::Off,
        }
    }
}
