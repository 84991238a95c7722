//! Virtual machines as host processes: boot, suspend, restore, adopt, watch, kill.
//!
//! ```text
//!      BootSpec     BootSpec, memory, state      VmRecord (in machine.json)
//!         │ boot         │ restore                   │ adopt, after an agent restart
//!         ▼              ▼                           ▼
//!   Vmm ──▶ VmProcess ◀── watcher task ◀── pidfd + control socket ── VMM process
//!               │ suspend
//!               ▼
//!        a file of device state; the memory lies in its own file already
//! ```
//!
//! The VMM process belongs to nobody: it runs in its own session, cgroup and network namespace, and
//! outlives the agent. What the agent holds is a [`VmProcess`], a handle; dropping every handle ends the
//! watcher and leaves the machine running. The caller persists the [`VmRecord`] and can come back with
//! [`Vmm::adopt`].
//!
//! A machine is dead when its pidfd says so, never earlier: [`VmProcess::exited`] and [`VmProcess::kill`]
//! return only then, so what the machine used (slot, disk, cgroup) may be released after either.

pub mod accel;
pub mod cgroup;
mod control;
mod fingerprint;
mod identity;
mod process;
pub mod qemu;
pub mod qmp;
mod spawn;
pub mod tsc;

use std::{
    future::Future,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use wrenn_proto::ids::SandboxId;

pub use self::{
    control::{ControlAnswer, ControlError, VmRequest},
    fingerprint::{Accelerator, CpuFingerprint, Fingerprint},
    identity::{ProcessIdentity, boot_id},
    process::{ExitReason, KillError, VmExit, VmOwner, VmProcess},
};

/// Name of the guest's memory file in its machine's directory.
pub const MEMORY_FILE: &str = "memory";

/// Everything a driver needs to start one machine.
///
/// The caller has made all of it beforehand: the disk, both directories, the slot and the cgroup. A driver
/// writes only into `dir` and `runtime_dir`, and removes nothing of the caller's.
#[derive(Debug, Clone)]
pub struct BootSpec {
    /// The sandbox this machine is of.
    pub id: SandboxId,
    /// The machine's directory on the data volume, without symbolic links; the guest's memory is the file
    /// [`MEMORY_FILE`] in it, which a boot makes anew and a restore maps as it is.
    pub dir: PathBuf,
    /// The machine's directory for sockets, gone after a reboot of the host. At most 90 bytes long.
    pub runtime_dir: PathBuf,
    /// Raw disk image, the guest's `/dev/vda`.
    pub disk: PathBuf,
    /// Raw disk image with the kernel's modules, the guest's `/dev/vdb`; only read, and shared by all machines. A restore needs the
    /// very one with which the machine was booted.
    pub modules: PathBuf,
    /// Linux kernel, as an ELF file (`vmlinux`); a restore has no need of it, nor of the next one.
    pub kernel: PathBuf,
    /// Initial RAM file system, with the guest daemon as `/init`.
    pub initramfs: PathBuf,
    /// Number of virtual CPUs, at least 1.
    pub vcpus: u32,
    /// Guest memory in MiB.
    pub memory_mb: u32,
    /// Network namespace the process runs in, as a path that can be opened (`Slot::netns`).
    pub netns: PathBuf,
    /// Tap device inside that namespace.
    pub tap: String,
    /// MAC address of the guest's interface, as `52:54:00:…`.
    pub mac: String,
    /// User and group id that the VMM drops to; `None` leaves it root.
    pub uid: Option<u32>,
    /// Cgroup the process joins before it becomes the VMM; `None` where the host offers no cgroups.
    pub cgroup: Option<cgroup::MachineCgroup>,
    /// Words added to the kernel command line after the driver's own.
    pub kernel_args: Vec<String>,
}

/// What must be kept to find a machine again after an agent restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmRecord {
    /// The sandbox this machine is of.
    pub id: SandboxId,
    /// Which driver started it.
    pub vmm: VmmKind,
    /// Version of the VMM that runs it.
    pub vmm_version: String,
    /// Fingerprint of the agent that started it, on which its saved state depends; that agent may be older than the one that saves
    /// it. `None` in records of agents before this was kept, whose layout was number 1.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// Which process it is; survives reuse of its pid.
    pub process: ProcessIdentity,
    /// The VMM's control socket.
    pub control_socket: PathBuf,
    /// The machine's cgroup; knows whether the memory limit killed it.
    #[serde(default)]
    pub cgroup: Option<cgroup::MachineCgroup>,
}

/// The drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmmKind {
    /// QEMU's microvm machine.
    Qemu,
    /// No process at all: a machine of the simulation.
    Simulated,
}

impl VmmKind {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Simulated => "simulated",
        }
    }
}

/// A driver of virtual machines.
///
/// Cheap to clone; all futures are `Send`.
pub trait Vmm: Clone + Send + Sync + 'static {
    /// Starts a machine; returns when its virtual CPUs run, not when the guest is up.
    ///
    /// # Errors
    /// Whatever the error, no process of this machine is left.
    fn boot(&self, spec: &BootSpec) -> impl Future<Output = Result<VmProcess, BootError>> + Send;

    /// Starts a machine from the device state in the file `state`, which [`VmProcess::suspend`] wrote, and the
    /// memory that lies in `spec.dir`. Returns when all is loaded; the virtual CPUs run with [`VmProcess::run`].
    ///
    /// The spec must be that of the machine that was suspended, but for names, folders and network: a VMM does not
    /// notice everything that differs (QEMU takes the state of one virtual CPU for a machine of two).
    ///
    /// # Errors
    /// Whatever the error, no process of this machine is left, and memory, disk and state are as they were, so that
    /// it can be tried again. [`BootError::Exited`] holds what the VMM says about state that it does not understand.
    fn restore(
        &self,
        spec: &BootSpec,
        state: &Path,
    ) -> impl Future<Output = Result<VmProcess, BootError>> + Send;

    /// What saved state depends on here. The first call blocks for some milliseconds.
    fn fingerprint(&self) -> Fingerprint;

    /// Takes over a machine that an earlier agent started; one that is suspended stays so.
    ///
    /// # Errors
    /// [`AdoptError::Gone`] says for certain that nothing runs; after any other error the process may
    /// still run, and [`Vmm::kill`] ends it.
    fn adopt(&self, record: &VmRecord) -> impl Future<Output = Result<VmProcess, AdoptError>> + Send;

    /// Kills a machine by its record alone, without its control socket, and waits until it is dead.
    ///
    /// Idempotent: a machine that is gone already is a success.
    ///
    /// # Errors
    /// See [`KillError`]; the machine may then still run.
    fn kill(&self, record: &VmRecord) -> impl Future<Output = Result<(), KillError>> + Send;

    /// Host memory that a machine needs beside its guest's, in MiB; belongs into its cgroup's limit.
    fn overhead_mb(&self) -> u64;

    /// What this driver is and how it accelerates, for people: `qemu 7.2.22 (tcg)`.
    fn description(&self) -> String;
}

/// Why a machine did not start. No process of it is left.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A value of the spec cannot be carried out.
    #[error("machine {id}: {problem}")]
    Spec {
        /// The machine.
        id: SandboxId,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in the machine's folders or namespace could not be opened or made.
    #[error("machine {id}: prepare {path}")]
    Prepare {
        /// The machine.
        id: SandboxId,
        /// What could not be opened or made.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The VMM's process could not be started.
    #[error("machine {id}: start {program}")]
    Spawn {
        /// The machine.
        id: SandboxId,
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The VMM ended before the machine ran; `exit` holds what it said.
    #[error("machine {id}: the vmm ended while starting: {exit}")]
    Exited {
        /// The machine.
        id: SandboxId,
        /// How it ended.
        exit: VmExit,
    },
    /// The VMM runs, but its control socket does not answer as it must. It was killed.
    #[error("machine {id}: control socket")]
    Control {
        /// The machine.
        id: SandboxId,
        /// Why.
        #[source]
        source: qmp::QmpError,
    },
}

/// Why a machine could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The process of the record does not exist any more. Nothing runs.
    #[error("machine {id}: its process is gone")]
    Gone {
        /// The machine.
        id: SandboxId,
    },
    /// The record is of another driver.
    #[error("machine {id}: was started by another driver ({vmm:?})")]
    WrongDriver {
        /// The machine.
        id: SandboxId,
        /// The driver of the record.
        vmm: VmmKind,
    },
    /// The process could not be examined.
    #[error("machine {id}: examine its process")]
    Process {
        /// The machine.
        id: SandboxId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The process runs, but its control socket does not answer.
    #[error("machine {id}: control socket")]
    Control {
        /// The machine.
        id: SandboxId,
        /// Why.
        #[source]
        source: qmp::QmpError,
    },
}
