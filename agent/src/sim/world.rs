//! What a simulated host has: machines, slots, disks, memories and templates that are only noted down, and faults to
//! order.
//!
//! It holds what a real host would: a disk outlives its machine, memory is that of a machine until it is copied, and
//! device state fits memory only as long as nothing has run on it. A world in which somebody relies on more ends with a
//! panic.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrenn_base::Clock;
use wrenn_proto::{
    guest::InitRequest,
    ids::{SandboxId, TemplateId},
};

use super::{options::SimOptions, processes::SimProcess};
use crate::{
    machines::{backend::BoxError, leases::Artifact, manifest::Manifest},
    metrics::Figures,
    net::SlotNumber,
    vmm::{ExitReason, Fingerprint, VmProcess, VmRecord},
};

/// A step of which work on a machine consists, and which can be ordered to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the steps are those of `Backend`, `Library`, `Guest` and `VmProcess`")]
pub enum SimStep {
    Admit,
    TakeSlot,
    MakeDisk,
    CloneSaved,
    Boot,
    Restore,
    ResizeDisk,
    Hello,
    Init,
    Suspend,
    Run,
    WriteManifest,
    ReadManifest,
    SyncFiles,
    Discard,
    AdmitTemplate,
    BeginDraft,
    Freeze,
    Thaw,
    Figures,
    CopyInto,
    Flatten,
    SizeFile,
    WriteExtent,
    ReadTemplate,
    FinishDraft,
    DiscardDraft,
    DropTemplate,
    Kill,
    RemoveFiles,
    ReleaseSlot,
}

/// What goes wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimFault {
    /// It fails, and has no effect.
    Fail,
    /// It panics, and has no effect.
    Panic,
    /// It never returns, and has no effect.
    StallBefore,
    /// It has its effect, and never returns.
    StallAfter,
}

/// Everything a simulated host has. It lives on when the agent is killed.
#[derive(Debug)]
pub struct SimWorld {
    pub(super) options: SimOptions,
    pub(super) clock: Clock,
    pub(super) inner: Mutex<Inner>,
    pub(super) next_pid: AtomicU32,
    pub(super) processes: Mutex<HashMap<SandboxId, Vec<Arc<SimProcess>>>>,
    execs_running: AtomicI64,
    /// Sessions about files that are open, and how much content they have told of.
    file_sessions: AtomicI64,
    file_bytes_told: AtomicU64,
    full: AtomicBool,
    boot: AtomicU32,
    /// Of what runs the machines.
    vmm_version: Mutex<String>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) slots: BTreeMap<SlotNumber, SandboxId>,
    pub(super) disks: BTreeMap<SandboxId, SimDisk>,
    /// The memory of machines that run, or that are paused.
    pub(super) memories: BTreeMap<SandboxId, SimMemory>,
    pub(super) saved: BTreeMap<SandboxId, SimSaved>,
    pub(super) vms: HashMap<SandboxId, SimVm>,
    pub(super) artifacts: BTreeMap<Artifact, SimMade>,
    pub(super) drafts: BTreeMap<Artifact, SimDraft>,
    faults: HashMap<SimStep, (SimFault, u32)>,
    steps: HashMap<SimStep, u32>,
    pub(super) boots: HashMap<SandboxId, u32>,
    pub(super) restores: HashMap<SandboxId, u32>,
}

/// State of the virtual CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vcpus {
    Stopped,
    Running,
}

/// Virtual machine, while it is there.
#[derive(Debug)]
pub(super) struct SimVm {
    pub(super) process: VmProcess,
    pub(super) crash: Option<oneshot::Sender<ExitReason>>,
    pub(super) vcpus: Vcpus,
    pub(super) runs_since: Instant,
    pub(super) figures: Figures,
}

/// A disk: it outlives everything but its removal.
#[derive(Debug, Clone, Default)]
pub(super) struct SimDisk {
    pub(super) files: BTreeMap<String, String>,
    /// What sessions about files wrote, by path.
    pub(super) contents: BTreeMap<String, Bytes>,
    pub(super) size_mb: u32,
}

/// What a guest has in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct SimMemory {
    pub(super) values: BTreeMap<String, String>,
    pub(super) init: InitRequest,
    pub(super) frozen: bool,
}

/// Device state beside a memory.
#[derive(Debug, Clone)]
pub(super) struct SimSaved {
    /// None as long as only the device state is there.
    pub(super) manifest: Option<Manifest>,
    /// A machine has run on the memory since.
    pub(super) stale: bool,
    pub(super) synced: bool,
}

/// A template or a boot snapshot.
#[derive(Debug, Clone)]
pub(super) struct SimMade {
    pub(super) manifest: Manifest,
    pub(super) disk: SimDisk,
    pub(super) memory: Option<SimMemory>,
}

/// One in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct SimDraft {
    pub(super) disk: Option<SimDisk>,
    pub(super) memory: Option<SimMemory>,
    pub(super) has_state: bool,
    /// Files that were fetched from another host, by kind.
    pub(super) received: BTreeMap<i32, Vec<u8>>,
}

impl SimWorld {
    pub(crate) fn new(options: SimOptions, clock: Clock) -> Self {
        Self {
            options,
            clock,
            inner: Mutex::default(),
            next_pid: AtomicU32::new(1),
            processes: Mutex::default(),
            execs_running: AtomicI64::new(0),
            file_sessions: AtomicI64::new(0),
            file_bytes_told: AtomicU64::new(0),
            full: AtomicBool::new(false),
            boot: AtomicU32::new(1),
            vmm_version: Mutex::new("1".into()),
        }
    }

    /// Returns how the host was told to behave.
    pub fn options(&self) -> &SimOptions {
        &self.options
    }

    /// Lets the next `times` tries of a step go wrong; replaces an earlier order for the same step.
    pub fn order_fault(&self, step: SimStep, fault: SimFault, times: u32) {
        self.inner.lock().faults.insert(step, (fault, times));
    }

    /// Returns how many tries of a step are still to go wrong.
    pub fn faults_left(&self, step: SimStep) -> u32 {
        self.inner.lock().faults.get(&step).map_or(0, |&(_, times)| times)
    }

    /// Takes back all orders.
    pub fn clear_faults(&self) {
        self.inner.lock().faults.clear();
    }

    /// Returns how often a step was tried, on all machines.
    pub fn tries(&self, step: SimStep) -> u32 {
        self.inner.lock().steps.get(&step).copied().unwrap_or(0)
    }

    /// Makes the disk of the host full, or gives it room again.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Replaces what runs the machines by another version; what was saved cannot be restored any more.
    pub fn set_vmm_version(&self, version: &str) {
        version.clone_into(&mut self.vmm_version.lock());
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::simulated(&self.vmm_version.lock())
    }

    fn next_fault(&self, step: SimStep) -> Option<SimFault> {
        let mut inner = self.inner.lock();
        *inner.steps.entry(step).or_default() += 1;
        let (fault, times) = inner.faults.get_mut(&step).filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(*fault)
    }

    /// Does a step as ordered: `effect` takes place, or not, and the step returns, or not.
    pub(super) async fn step<T>(&self, step: SimStep, effect: impl FnOnce() -> T) -> Result<T, BoxError> {
        match self.next_fault(step) {
            None => Ok(effect()),
            Some(SimFault::Fail) => Err(format!("ordered failure of {step:?}").into()),
            Some(SimFault::Panic) => panic!("ordered panic of {step:?}"),
            Some(SimFault::StallBefore) => std::future::pending().await,
            Some(SimFault::StallAfter) => {
                effect();
                std::future::pending().await
            }
        }
    }

    /// Ends a machine for the given reason; returns false if none runs.
    pub fn crash(&self, id: SandboxId, reason: ExitReason) -> bool {
        let crash = self.inner.lock().vms.get_mut(&id).and_then(|vm| vm.crash.take());
        crash.is_some_and(|crash| crash.send(reason).is_ok())
    }

    /// Sets the figures of a machine that runs, from the start of its virtual machine; returns false if none runs.
    pub fn set_figures(&self, id: SandboxId, figures: Figures) -> bool {
        self.inner.lock().vms.get_mut(&id).map(|vm| vm.figures = figures).is_some()
    }

    pub(super) fn figures(&self, vm: &VmRecord) -> Option<Figures> {
        let inner = self.inner.lock();
        inner
            .vms
            .get(&vm.id)
            .filter(|known| known.process.record().process == vm.process)
            .map(|vm| vm.figures)
    }

    /// Loses the power: every virtual machine and network is gone, and so is memory that nobody waited for. The agent
    /// must be dead, and is not started by this.
    pub fn lose_power(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        inner.vms.clear();
        inner.slots.clear();
        let unsynced: Vec<_> =
            inner.saved.iter().filter(|(_, saved)| !saved.synced).map(|(&id, _)| id).collect();
        for id in unsynced {
            if let Some(saved) = inner.saved.get_mut(&id) {
                saved.stale = true;
            }
        }
    }

    /// Returns the id of this boot of the host's kernel.
    pub fn boot_id(&self) -> String {
        format!("boot {}", self.boot.load(Ordering::Relaxed))
    }

    /// Returns the machines whose virtual machine is there.
    pub fn running(&self) -> Vec<SandboxId> {
        let mut running: Vec<_> = self.inner.lock().vms.keys().copied().collect();
        running.sort();
        running
    }

    /// Returns how often the machine was booted.
    pub fn boots(&self, id: SandboxId) -> u32 {
        self.inner.lock().boots.get(&id).copied().unwrap_or(0)
    }

    /// Returns how often the machine was restored.
    pub fn restores(&self, id: SandboxId) -> u32 {
        self.inner.lock().restores.get(&id).copied().unwrap_or(0)
    }

    /// Whether the virtual CPUs of a machine run and its guest may write.
    pub fn is_lively(&self, id: SandboxId) -> bool {
        let inner = self.inner.lock();
        let runs = inner.vms.get(&id).is_some_and(|vm| vm.vcpus == Vcpus::Running);
        runs && inner.memories.get(&id).is_some_and(|memory| !memory.frozen)
    }

    /// Returns the number of commands that run in all guests.
    pub fn execs_running(&self) -> i64 {
        self.execs_running.load(Ordering::Relaxed)
    }

    pub(super) fn note_exec(&self, change: i64) {
        self.execs_running.fetch_add(change, Ordering::Relaxed);
    }

    /// Returns the number of sessions about files that are open in all guests.
    pub fn file_sessions(&self) -> i64 {
        self.file_sessions.load(Ordering::Relaxed)
    }

    /// Returns how much content of files all guests have told, in bytes.
    pub fn file_bytes_told(&self) -> u64 {
        self.file_bytes_told.load(Ordering::Relaxed)
    }

    pub(super) fn note_file_session(&self, change: i64) {
        self.file_sessions.fetch_add(change, Ordering::Relaxed);
    }

    pub(super) fn note_file_bytes_told(&self, bytes: usize) {
        self.file_bytes_told.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns everything that machines hold, and templates in the making, in words; empty if the host is clean.
    pub fn holdings(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let slots = inner.slots.iter().map(|(slot, id)| format!("slot {} of {id}", slot.0));
        let disks = inner.disks.keys().map(|id| format!("disk of {id}"));
        let at_rest = inner.memories.keys().filter(|id| !inner.vms.contains_key(id));
        let memories = at_rest.map(|id| format!("memory of {id}"));
        let unused = inner.saved.keys().filter(|id| inner.vms.contains_key(id));
        let states = unused.map(|id| format!("device state of the running {id}"));
        let vms = inner.vms.keys().map(|id| format!("vm of {id}"));
        let drafts = inner.drafts.keys().map(|artifact| format!("half a {artifact}"));
        slots.chain(disks).chain(memories).chain(states).chain(vms).chain(drafts).collect()
    }

    /// Returns the templates that are complete.
    pub fn templates(&self) -> Vec<TemplateId> {
        let inner = self.inner.lock();
        let templates = inner.artifacts.keys().filter_map(|artifact| match artifact {
            Artifact::Template(id) => Some(*id),
            Artifact::BootSnapshot(_) => None,
        });
        templates.collect()
    }

    /// Returns the templates and boot snapshots that are complete, in words.
    pub fn artifacts(&self) -> Vec<String> {
        self.inner.lock().artifacts.keys().map(ToString::to_string).collect()
    }

    /// Whether something is half-made.
    pub fn has_drafts(&self) -> bool {
        !self.inner.lock().drafts.is_empty()
    }

    pub(super) fn set_init(&self, id: SandboxId, mut init: InitRequest) {
        init.entropy.clear();
        let mut inner = self.inner.lock();
        if let Some(disk) = inner.disks.get_mut(&id) {
            let grown_mb = u32::try_from(init.grow_root_to_bytes >> 20).unwrap_or(u32::MAX);
            disk.size_mb = disk.size_mb.max(grown_mb);
        }
        if let Some(memory) = inner.memories.get_mut(&id) {
            memory.frozen &= !init.thaw;
            memory.init = init;
        }
    }

    pub(super) fn init_of(&self, id: SandboxId) -> InitRequest {
        self.memory_of(id, |memory| memory.init.clone()).unwrap_or_default()
    }

    pub(super) fn memory_of<T>(&self, id: SandboxId, look: impl FnOnce(&mut SimMemory) -> T) -> Option<T> {
        self.inner.lock().memories.get_mut(&id).map(look)
    }

    pub(super) fn disk_of<T>(&self, id: SandboxId, look: impl FnOnce(&mut SimDisk) -> T) -> Option<T> {
        self.inner.lock().disks.get_mut(&id).map(look)
    }

    pub(super) fn is_up(&self, id: SandboxId) -> bool {
        let inner = self.inner.lock();
        let is_up = |vm: &SimVm| {
            vm.vcpus == Vcpus::Running && self.clock.since(vm.runs_since) >= self.options.boot_delay
        };
        inner.vms.get(&id).is_some_and(is_up)
    }
}
