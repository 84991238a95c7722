//! The handle of one machine, whoever runs it.
//!
//! [`VmProcess`] is what callers hold; [`VmOwner`] is its other end, held by the task that watches the
//! process (or by a simulation). They share three things: how the machine ended, the wish to kill it, and
//! requests.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};

use super::VmRecord;

/// How long a killed process may take to be gone; it waits only for I/O that cannot be interrupted.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a console may take to answer.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a machine ended, and what was seen of it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmExit {
    /// Why it ended, as well as can be known.
    pub reason: ExitReason,
    /// Last lines of the guest's console; written by the guest, so believe none of it.
    pub console: String,
    /// What the VMM wrote to its standard error.
    pub log: String,
}

/// Why a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The guest powered itself off.
    GuestPowerOff,
    /// The guest reset itself: a reboot, or a panic that the console does not show.
    GuestReset,
    /// The guest's kernel panicked.
    GuestPanic,
    /// The guest powered itself off or reset itself while no agent was watching.
    GuestStopped,
    /// The VMM stopped it, as the host's disk failed or is full.
    DiskFailed,
    /// The VMM stopped it, as it cannot go on.
    VmmFailed,
    /// This agent killed it.
    Killed,
    /// The host's memory limit of the machine killed it.
    OutOfMemory,
    /// The VMM was ended by a signal that was not ours.
    Signal(i32),
    /// The VMM ended by itself with this exit status.
    Status(i32),
    /// The process is gone; how, nobody was there to see.
    Unknown,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestPowerOff => f.write_str("the guest powered off"),
            Self::GuestReset => f.write_str("the guest reset itself"),
            Self::GuestStopped => f.write_str("the guest powered off or reset itself"),
            Self::GuestPanic => f.write_str("the guest's kernel panicked"),
            Self::DiskFailed => f.write_str("the host's disk failed or is full"),
            Self::VmmFailed => f.write_str("the vmm stopped the machine after an internal error"),
            Self::Killed => f.write_str("killed on request"),
            Self::OutOfMemory => f.write_str("killed by the host: out of memory"),
            Self::Signal(signal) => write!(f, "the vmm was killed by signal {signal}"),
            Self::Status(status) => write!(f, "the vmm exited with status {status}"),
            Self::Unknown => f.write_str("the vmm is gone for a reason unknown"),
        }
    }
}

impl fmt::Display for VmExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        let last_line = self.log.lines().rev().find(|line| !line.trim().is_empty());
        last_line.map_or(Ok(()), |line| write!(f, " ({})", line.trim()))
    }
}

/// Why a machine could not be killed, or its death not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The process could not be examined or signalled.
    #[error("kill process {pid}")]
    Signal {
        /// Its pid.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process was killed but still exists.
    #[error("process {pid} was killed but did not end within {KILL_TIMEOUT:?}")]
    StillAlive {
        /// Its pid.
        pid: u32,
    },
}

/// Handle of one running (or ended) machine; cheap to clone.
#[derive(Clone)]
pub struct VmProcess {
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<VmExit>>,
    requests: mpsc::Sender<VmRequest>,
}

/// Something that only the task with the control connection can do; whoever wants it waits at the other end.
#[derive(Debug)]
pub enum VmRequest {
    /// The console's tail.
    Console(oneshot::Sender<String>),
    /// Stop the virtual CPUs and write the device state into a new file.
    Suspend {
        /// The file.
        state: PathBuf,
        /// What came of it.
        answer: oneshot::Sender<Result<(), ControlError>>,
    },
    /// Let the virtual CPUs run.
    Run {
        /// What came of it.
        answer: oneshot::Sender<Result<(), ControlError>>,
    },
    /// Tell the guest that its disk is larger.
    ResizeDisk {
        /// Its size.
        bytes: u64,
        /// What came of it.
        answer: oneshot::Sender<Result<(), ControlError>>,
    },
}

/// Why a machine did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there to do it.
    #[error("the machine is gone")]
    Gone,
    /// It was refused.
    #[error("the vmm refused: {0}")]
    Refused(String),
}

struct Shared {
    record: VmRecord,
    /// `None` for a simulated machine.
    pidfd: Option<OwnedFd>,
    kill_requested: AtomicBool,
    kill_wakeup: Notify,
}

/// The other end of a [`VmProcess`].
pub struct VmOwner {
    shared: Arc<Shared>,
    exit: watch::Sender<Option<VmExit>>,
}

impl VmProcess {
    /// Makes a handle, its owner's end, and the questions for the console; these end when every handle is
    /// dropped. Without a pidfd (a simulated machine) a kill is only a wish that [`VmOwner::kill_requested`] tells.
    pub fn new(record: VmRecord, pidfd: Option<OwnedFd>) -> (Self, VmOwner, mpsc::Receiver<VmRequest>) {
        let shared = Arc::new(Shared {
            record,
            pidfd,
            kill_requested: AtomicBool::new(false),
            kill_wakeup: Notify::new(),
        });
        let (exit_sender, exit) = watch::channel(None);
        let (requests, received) = mpsc::channel(4);
        let owner = VmOwner { shared: shared.clone(), exit: exit_sender };
        (Self { shared, exit, requests }, owner, received)
    }

    /// What to persist in order to find this machine again.
    pub fn record(&self) -> &VmRecord {
        &self.shared.record
    }

    /// Waits until the process is dead, and says why. May be called any number of times.
    pub async fn exited(&self) -> VmExit {
        let mut exit = self.exit.clone();
        if let Ok(exit) = exit.wait_for(Option::is_some).await
            && let Some(exit) = exit.clone()
        {
            return exit;
        }
        // The watcher is gone (its runtime ended); the process may well live.
        if let Some(pidfd) = &self.shared.pidfd {
            wait_for_exit(pidfd).await;
        }
        VmExit { reason: ExitReason::Unknown, console: String::new(), log: String::new() }
    }

    /// Kills the machine and waits until it is dead. Idempotent.
    ///
    /// # Errors
    /// [`KillError::StillAlive`] if the kernel does not let go of it in time.
    pub async fn kill(&self) -> Result<VmExit, KillError> {
        let pid = self.shared.record.process.pid;
        self.shared.kill_requested.store(true, Ordering::Release);
        self.shared.kill_wakeup.notify_waiters();
        if let Some(pidfd) = &self.shared.pidfd {
            send_kill(pidfd).map_err(|source| KillError::Signal { pid, source })?;
        }
        timeout(KILL_TIMEOUT, self.exited()).await.map_err(|_| KillError::StillAlive { pid })
    }

    async fn request(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), ControlError>>) -> VmRequest,
    ) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| ControlError::Gone)?;
        answered.await.unwrap_or(Err(ControlError::Gone))
    }

    /// Stops the virtual CPUs and writes the device state into the new file `state`.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn suspend(&self, state: &Path) -> Result<(), ControlError> {
        let state = state.to_owned();
        self.request(|answer| VmRequest::Suspend { state, answer }).await
    }

    /// Lets the virtual CPUs run; idempotent.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn run(&self) -> Result<(), ControlError> {
        self.request(|answer| VmRequest::Run { answer }).await
    }

    /// Makes the disk larger.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn resize_disk(&self, bytes: u64) -> Result<(), ControlError> {
        self.request(|answer| VmRequest::ResizeDisk { bytes, answer }).await
    }

    /// Last lines of the guest's console, as text; empty if nobody can tell.
    ///
    /// Written by the guest: bounded in size, with control characters removed, and not to be believed.
    pub async fn console_tail(&self) -> String {
        let (answer, tail) = oneshot::channel();
        let ask = async {
            self.requests.send(VmRequest::Console(answer)).await.ok()?;
            tail.await.ok()
        };
        match timeout(CONSOLE_TIMEOUT, ask).await {
            Ok(Some(tail)) => tail,
            _ => self.exit.borrow().as_ref().map(|exit| exit.console.clone()).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for VmProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmProcess").field("record", &self.shared.record).finish_non_exhaustive()
    }
}

impl VmOwner {
    /// The machine's record.
    pub fn record(&self) -> &VmRecord {
        &self.shared.record
    }

    /// Waits until somebody wants the machine killed.
    pub async fn kill_requested(&self) {
        loop {
            let wakeup = self.shared.kill_wakeup.notified();
            if self.is_kill_requested() {
                return;
            }
            wakeup.await;
        }
    }

    /// Whether somebody wanted the machine killed.
    pub fn is_kill_requested(&self) -> bool {
        self.shared.kill_requested.load(Ordering::Acquire)
    }

    /// Reports that the machine is dead. For a real one: only after its pidfd said so.
    pub fn report_exit(self, exit: VmExit) {
        self.exit.send_replace(Some(exit));
    }

    /// Waits for the death of the process; for ever if there is none.
    pub async fn process_exit(&self) {
        match &self.shared.pidfd {
            Some(pidfd) => wait_for_exit(pidfd).await,
            None => std::future::pending().await,
        }
    }

    /// The process, unless it is simulated.
    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        self.shared.pidfd.as_ref()
    }
}

pub(super) fn send_kill(pidfd: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns when the process has ended; a pidfd turns readable then, for zombies and strangers as well.
#[expect(unsafe_code, reason = "tokio cannot know that this descriptor is not closed behind its back")]
pub(super) async fn wait_for_exit(pidfd: &OwnedFd) {
    // SAFETY: the descriptor is borrowed for as long as the registration exists, which ends with this call; an
    // `OwnedFd` stays open, and the same, while it is borrowed.
    let registered = unsafe { AsyncFd::register_with_interest(pidfd.as_fd(), Interest::READABLE) };
    match registered {
        Ok(pidfd) => {
            // An error here means that the reactor is shutting down, and this task with it.
            if pidfd.readable().await.is_err() {
                std::future::pending().await
            }
        }
        Err(error) => {
            // Out of file descriptors or epoll watches: slower, but as certain.
            tracing::warn!(%error, "cannot watch a process by its pidfd, polling instead");
            while !has_exited(pidfd) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn has_exited(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1..))
}
