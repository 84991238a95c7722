//! Which process: a pid alone names whatever runs under that number now.
//!
//! A process is identified by its pid, its start time in clock ticks since boot, and the boot itself. Opening
//! a pidfd *first* and comparing the start time *second* leaves no moment in which the pid could change hands.

use std::{fs, io, os::fd::OwnedFd, process::Child, sync::OnceLock};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::process::{KILL_TIMEOUT, KillError, send_kill, wait_for_exit};

/// A process, told apart from every other that ever had or will have its pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub start_ticks: u64,
    /// The boot in which the two above mean something.
    pub boot_id: String,
}

/// Id of this boot of the kernel; empty where the kernel does not tell.
pub fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
    })
}

impl ProcessIdentity {
    /// Identifies the process that has `pid` now.
    ///
    /// # Errors
    /// `NotFound` if there is none, or only a zombie.
    pub fn of_pid(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start_ticks = live_start_ticks(&stat).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, start_ticks, boot_id: boot_id().to_owned() })
    }

    /// Identifies a child of this process that nobody has reaped yet, and opens a pidfd on it. It may have
    /// ended already.
    ///
    /// # Errors
    /// If `/proc` cannot be read, or no descriptor is left.
    pub(super) fn of_child(child: &Child) -> io::Result<(Self, OwnedFd)> {
        let pid = child.id();
        let raw_pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(raw_pid, PidfdFlags::empty())?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, start_ticks) = state_and_start_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok((Self { pid, start_ticks, boot_id: boot_id().to_owned() }, pidfd))
    }

    /// Opens a pidfd on exactly this process; `None` if it is gone (a zombie counts as gone).
    ///
    /// # Errors
    /// If the kernel refuses for another reason (limits, permissions).
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.boot_id != boot_id() {
            return Ok(None);
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // INVAL: the pid is now that of a thread.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match Self::of_pid(self.pid) {
            Ok(now) if now == *self => Ok(Some(pidfd)),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(None),
            // ESRCH: it ended while its stat file was being read.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl ProcessIdentity {
    /// Kills this very process, whoever its parent is, and waits until it is dead. Idempotent.
    ///
    /// # Errors
    /// See [`KillError`]; the process may then still run.
    pub async fn kill(&self) -> Result<(), KillError> {
        let pid = self.pid;
        let signal_error = |source| KillError::Signal { pid, source };
        let Some(pidfd) = self.open().map_err(signal_error)? else {
            return Ok(());
        };
        send_kill(&pidfd).map_err(signal_error)?;
        timeout(KILL_TIMEOUT, wait_for_exit(&pidfd)).await.map_err(|_| KillError::StillAlive { pid })
    }
}

/// State (field 3) and start time (field 22) from a `/proc/<pid>/stat` line.
///
/// Field 2 is the program's name in parentheses and may hold anything, so fields are counted from the last `)`.
fn state_and_start_ticks(stat: &str) -> Option<(&str, u64)> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(22 - 4)?.parse().ok()?))
}

/// Start time of a process that is not a zombie.
fn live_start_ticks(stat: &str) -> Option<u64> {
    state_and_start_ticks(stat).filter(|(state, _)| !matches!(*state, "Z" | "X")).map(|(_, ticks)| ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_program_name_does_not_shift_the_fields() {
        let stat = "7 (a) R 1 (b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1000 1";
        assert_eq!(live_start_ticks(stat), Some(4711));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        assert_eq!(live_start_ticks("7 (a) Z 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 0"), None);
    }

    #[test]
    fn this_process_is_found_and_another_start_time_is_not() {
        let this = ProcessIdentity::of_pid(std::process::id()).expect("own stat");
        assert!(this.open().expect("pidfd").is_some());
        let later = ProcessIdentity { start_ticks: this.start_ticks + 1, ..this.clone() };
        assert!(later.open().expect("pidfd").is_none());
        let other_boot = ProcessIdentity { boot_id: "another".into(), ..this };
        assert!(other_boot.open().expect("pidfd").is_none());
    }
}
