//! The figures of one machine, as the host's kernel has them.
//!
//! | figure | source |
//! |---|---|
//! | CPU | `utime` and `stime` of `/proc/<pid>/stat`: all threads of the VMM |
//! | memory | resident pages of the same line, less what is shared with others (`smaps_rollup`, now and then) |
//! | disk | blocks of the disk's file |
//! | network | counters of the tap in `/proc/<pid>/net/dev`: the VMM lives in its machine's namespace |
//!
//! `smaps_rollup` walks the page tables, so a read of it costs a hundred times that of `stat`, and more for larger machines.
//! It is therefore read only for a [`Depth::Thorough`] reading: the difference between resident and proportional memory is
//! mostly the VMM's program text and hardly changes, and is subtracted from the resident memory until the next one.
//!
//! A machine may end at any moment. Its `stat` stays open, and an open one is of that process alone: it fails when the
//! process is gone, whoever has its pid then. It is read last, so nothing counts that was read of another process.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    time::Duration,
};

use crate::vmm::{ProcessIdentity, VmRecord};

/// Bytes of a block of [`MetadataExt::blocks`].
const BLOCK_BYTES: u64 = 512;

/// Figures of a machine since its VMM was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Processor time that it has used.
    pub cpu: Duration,
    /// Memory of the host that it occupies.
    pub memory_bytes: u64,
    /// Blocks of the host that its disk occupies.
    pub disk_bytes: u64,
    /// All that the capsule has received.
    pub net_in_bytes: u64,
    /// All that the capsule has sent.
    pub net_out_bytes: u64,
}

/// Thoroughness of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only cheap figures; shared memory as measured last.
    Quick,
    /// Measures memory shared with other processes, too.
    Thorough,
}

/// Reads the figures of one machine.
pub trait Meter: Send {
    /// Reads the figures. Blocks for some microseconds, or for milliseconds if it is thorough.
    ///
    /// # Errors
    /// If the machine is gone.
    fn read(&mut self, depth: Depth) -> io::Result<Figures>;
}

/// Machines that can be measured.
pub trait MeterSource: Send + Sync {
    /// Returns the machines whose VMM is at hand. One may have ended already.
    fn measurable(&self) -> Vec<VmRecord>;

    /// Opens the meter of a machine. Blocks for some microseconds.
    ///
    /// # Errors
    /// If the machine is gone.
    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>>;
}

/// Meter of a VMM process.
#[derive(Debug)]
pub struct ProcessMeter {
    pid: u32,
    stat: File,
    disk: PathBuf,
    tap: &'static str,
    /// Resident memory that other processes share, as it was measured last.
    shared_bytes: u64,
}

impl ProcessMeter {
    /// Opens the meter of a process whose disk is this file, and whose network is the tap of this name in its namespace.
    ///
    /// # Errors
    /// `NotFound` if the process is gone.
    pub fn open(process: &ProcessIdentity, disk: PathBuf, tap: &'static str) -> io::Result<Self> {
        let pid = process.pid;
        let stat = File::open(format!("/proc/{pid}/stat"))?;
        let meter = Self { pid, stat, disk, tap, shared_bytes: 0 };
        if meter.stat()?.start_ticks != process.start_ticks {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(meter)
    }

    fn stat(&self) -> io::Result<Stat> {
        let mut line = [0; 1024];
        let length = self.stat.read_at(&mut line, 0)?;
        let line = String::from_utf8_lossy(&line[..length]);
        Stat::parse(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns memory in proportion to its users; `None` where the kernel does not tell.
    fn proportional_bytes(&self) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        proportional_bytes(&rollup)
    }
}

impl Meter for ProcessMeter {
    fn read(&mut self, depth: Depth) -> io::Result<Figures> {
        let (net_in_bytes, net_out_bytes) = fs::read_to_string(format!("/proc/{}/net/dev", self.pid))
            .ok()
            .and_then(|table| tap_bytes(&table, self.tap))
            .unwrap_or_default();
        let disk_bytes = fs::metadata(&self.disk).map_or(0, |metadata| metadata.blocks() * BLOCK_BYTES);
        let proportional_bytes = match depth {
            Depth::Quick => None,
            Depth::Thorough => self.proportional_bytes(),
        };
        let stat = self.stat()?;
        let resident_bytes = stat.resident_pages.saturating_mul(rustix::param::page_size() as u64);
        if let Some(proportional_bytes) = proportional_bytes {
            self.shared_bytes = resident_bytes.saturating_sub(proportional_bytes);
        }
        Ok(Figures {
            cpu: ticks(stat.cpu_ticks),
            memory_bytes: resident_bytes.saturating_sub(self.shared_bytes),
            disk_bytes,
            net_in_bytes,
            net_out_bytes,
        })
    }
}

fn ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs(ticks / per_second) + Duration::from_secs(ticks % per_second) / per_second as u32
}

/// Fields of a line of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// The second field is the program's name in parentheses and may hold anything, so fields are counted from the last
    /// `)`. A zombie uses nothing any more and is gone.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
        // Numbers of fields are those of proc(5), where the first one here is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let cpu_ticks = field(14)?.saturating_add(field(15)?);
        Some(Self { cpu_ticks, start_ticks: field(22)?, resident_pages: field(24)? })
    }
}

/// Returns the bytes that a capsule has received and sent by its tap: what the host's side of it sent and received.
fn tap_bytes(table: &str, tap: &str) -> Option<(u64, u64)> {
    let counters = table.lines().find_map(|line| line.trim_start().strip_prefix(tap)?.strip_prefix(':'))?;
    let counters: Vec<u64> =
        counters.split_ascii_whitespace().map_while(|counter| counter.parse().ok()).collect();
    Some((*counters.get(8)?, *counters.first()?))
}

fn proportional_bytes(rollup: &str) -> Option<u64> {
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"))?;
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_program_is_called() {
        let line = "7 (a) R 1 (b) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 4711 1000 321 18446744073709551615";
        assert_eq!(Stat::parse(line), Some(Stat { cpu_ticks: 300, start_ticks: 4711, resident_pages: 321 }));
        assert_eq!(Stat::parse(&line.replace(" S ", " Z ")), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn the_taps_counters_are_told_from_those_of_others_and_turned_round() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
                     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
                     lo:       1       1    0    0    0     0          0         0        2       1    0    0    0     0       0          0\n  \
                     tap01:     77       1    0    0    0     0          0         0       88       1    0    0    0     0       0          0\n  \
                     tap0: 3000      20    0    0    0     0          0         0     9000      30    0    0    0     0       0          0\n";
        assert_eq!(tap_bytes(table, "tap0"), Some((9000, 3000)));
        assert_eq!(tap_bytes(table, "tap1"), None);
        assert_eq!(tap_bytes("tap0:", "tap0"), None);
    }

    #[test]
    fn proportional_memory_is_found_in_the_summary() {
        let rollup = "00400000-7ffe [rollup]\nRss:    2000 kB\nPss:            1234 kB\nPss_Dirty:  9 kB\n";
        assert_eq!(proportional_bytes(rollup), Some(1234 * 1024));
        assert_eq!(proportional_bytes("Rss: 1 kB"), None);
    }

    #[test]
    fn this_process_is_measured_and_another_start_time_is_not() {
        let this = ProcessIdentity::of_pid(std::process::id()).unwrap();
        let disk = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(disk.path(), [1; 9000]).unwrap();
        let mut meter = ProcessMeter::open(&this, disk.path().to_owned(), "lo").unwrap();
        let quick = meter.read(Depth::Quick).unwrap();
        let thorough = meter.read(Depth::Thorough).unwrap();
        assert!(quick.memory_bytes > 1 << 20 && thorough.memory_bytes <= quick.memory_bytes + (64 << 20));
        assert!(quick.disk_bytes >= 8192 && thorough.cpu >= quick.cpu);
        let later = ProcessIdentity { start_ticks: this.start_ticks + 1, ..this };
        assert!(ProcessMeter::open(&later, disk.path().to_owned(), "lo").is_err());
    }

    #[test]
    fn a_process_that_ended_is_an_error_whoever_has_its_pid_then() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessIdentity::of_pid(child.id()).unwrap();
        let mut meter = ProcessMeter::open(&process, "/nonexistent".into(), "lo").unwrap();
        assert_eq!(meter.read(Depth::Quick).unwrap().disk_bytes, 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(meter.read(Depth::Quick).is_err());
    }
}
