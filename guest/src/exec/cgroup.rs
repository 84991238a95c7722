//! One cgroup per command, so that a timeout reaches even processes that left the process group.
//!
//! Only version 2 with `cgroup.kill` is used. Without it commands run in the daemon's own cgroup, and
//! killing falls back to the process group. A cgroup is removed once it is empty: a command may leave
//! daemons behind, so removal is tried again whenever another command starts.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::lock::Lock;

/// Cgroups whose removal is tried at each start, at most; the rest wait for the next one.
const SWEEP_LIMIT: usize = 16;

/// Processes and threads that commands cannot take: the kernel's own, the daemon's, and those of the next commands.
const RESERVED_PROCESSES: u64 = 512;

/// Makes and removes the cgroups of commands.
#[derive(Debug, Clone)]
pub struct Cgroups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parent: Option<PathBuf>,
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Not empty yet when their command ended.
    lingering: Vec<PathBuf>,
}

/// The cgroup of one command.
#[derive(Debug)]
pub(super) struct ExecCgroup {
    path: PathBuf,
    owner: Arc<Inner>,
}

impl Cgroups {
    /// Uses `parent`, a folder of a cgroup2 filesystem that is made if missing.
    ///
    /// # Errors
    /// When the folder cannot be made, or what it is in is no cgroup2 that can kill.
    pub fn in_folder(parent: &Path) -> io::Result<Self> {
        match fs::create_dir(parent) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::metadata(parent.join("cgroup.kill"))?;
        leave_room(parent);
        Ok(Self::with(Some(parent.to_owned())))
    }

    /// Does without cgroups.
    pub fn none() -> Self {
        Self::with(None)
    }

    fn with(parent: Option<PathBuf>) -> Self {
        Self { inner: Arc::new(Inner { parent, state: Lock::default() }) }
    }

    /// Makes a cgroup; none if that is not possible, which costs nothing but the wider kill.
    pub(super) fn create(&self) -> Option<ExecCgroup> {
        let parent = self.inner.parent.as_ref()?;
        let number = {
            let mut state = self.inner.state.lock();
            sweep(&mut state.lingering);
            state.next += 1;
            state.next
        };
        let path = parent.join(number.to_string());
        fs::create_dir(&path).ok()?;
        Some(ExecCgroup { path, owner: Arc::clone(&self.inner) })
    }
}

/// Bounds the processes of all commands together, so that the daemon can still start threads when a command forks without end. Where
/// the controller is missing, the kernel's own bound is the only one.
fn leave_room(parent: &Path) {
    let threads = fs::read_to_string("/proc/sys/kernel/threads-max").ok();
    let Some(threads) = threads.and_then(|text| text.trim().parse::<u64>().ok()) else { return };
    let pids = fs::read_to_string("/proc/sys/kernel/pid_max").ok();
    let pids = pids.and_then(|text| text.trim().parse().ok()).unwrap_or(threads);
    let most = threads.min(pids).saturating_sub(RESERVED_PROCESSES).max(RESERVED_PROCESSES);
    let _ = fs::write(parent.join("pids.max"), most.to_string());
}

/// Removes those that have become empty.
fn sweep(lingering: &mut Vec<PathBuf>) {
    let mut tried = 0;
    lingering.retain(|path| {
        tried += 1;
        tried > SWEEP_LIMIT || fs::remove_dir(path).is_err()
    });
}

impl ExecCgroup {
    /// Opens the file through which a process moves itself in.
    pub(super) fn open_procs(&self) -> io::Result<OwnedFd> {
        Ok(File::options().write(true).open(self.path.join("cgroup.procs"))?.into())
    }

    /// Kills every process in it, and those they fork meanwhile.
    ///
    /// Frozen first: thousands of processes that run would keep the processor from those that are to end.
    pub(super) fn kill(&self) -> io::Result<()> {
        // A kernel that cannot freeze kills all the same, later. Frozen processes die of the kill.
        let _ = fs::write(self.path.join("cgroup.freeze"), "1");
        fs::write(self.path.join("cgroup.kill"), "1")
    }
}

impl Drop for ExecCgroup {
    fn drop(&mut self) {
        if fs::remove_dir(&self.path).is_err() {
            self.owner.state.lock().lingering.push(std::mem::take(&mut self.path));
        }
    }
}
