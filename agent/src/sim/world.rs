//! What a simulated host has: machines, slots and disks that are only noted down, and faults to order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use wrenn_proto::{
    guest::InitRequest,
    ids::{SandboxId, TemplateId},
};

use super::SimOptions;
use crate::{
    machines::{backend::BoxError, leases::Artifact, manifest::Manifest},
    net::SlotNumber,
    vmm::{
        Accelerator, ControlError, CpuFingerprint, ExitReason, Fingerprint, ProcessIdentity, VmExit, VmOwner,
        VmProcess, VmRecord, VmRequest, VmmKind,
    },
};

/// A step of which a machine is made or removed, and which can be ordered to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the steps are those of `Backend` and `Guest`")]
pub enum SimStep {
    Admit,
    TakeSlot,
    MakeDisk,
    Boot,
    Hello,
    Init,
    CloneSaved,
    Restore,
    Run,
    Suspend,
    Saved,
    SyncFiles,
    Discard,
    Freeze,
    Thaw,
    AdmitTemplate,
    Begin,
    CopyInto,
    Flatten,
    Finish,
    DiscardDraft,
    DropTemplate,
    Kill,
    RemoveFiles,
    ReleaseSlot,
}

impl SimStep {
    /// All steps.
    pub const ALL: [Self; 25] = [
        Self::Admit,
        Self::TakeSlot,
        Self::MakeDisk,
        Self::Boot,
        Self::Hello,
        Self::Init,
        Self::CloneSaved,
        Self::Restore,
        Self::Run,
        Self::Suspend,
        Self::Saved,
        Self::SyncFiles,
        Self::Discard,
        Self::Freeze,
        Self::Thaw,
        Self::AdmitTemplate,
        Self::Begin,
        Self::CopyInto,
        Self::Flatten,
        Self::Finish,
        Self::DiscardDraft,
        Self::DropTemplate,
        Self::Kill,
        Self::RemoveFiles,
        Self::ReleaseSlot,
    ];
    /// Those of the life of a machine that is started, and of which nothing else is wanted.
    pub const OF_A_START: [Self; 9] = [
        Self::Admit,
        Self::TakeSlot,
        Self::MakeDisk,
        Self::Boot,
        Self::Hello,
        Self::Init,
        Self::Kill,
        Self::RemoveFiles,
        Self::ReleaseSlot,
    ];
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
    options: SimOptions,
    pub(super) inner: Mutex<Inner>,
    next_pid: AtomicU32,
    execs_running: AtomicI64,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) slots: BTreeMap<SlotNumber, SandboxId>,
    pub(super) files: HashMap<SandboxId, SimFiles>,
    pub(super) vms: HashMap<SandboxId, SimVm>,
    pub(super) artifacts: BTreeMap<Artifact, (SimFiles, Manifest)>,
    pub(super) drafts: BTreeMap<Artifact, SimFiles>,
    faults: HashMap<SimStep, (SimFault, u32)>,
    boots: HashMap<SandboxId, u32>,
    vmm_version: Option<String>,
}

/// Files of a machine, or of what is made of one.
#[derive(Debug, Clone, Default)]
pub(super) struct SimFiles {
    /// What commands wrote.
    pub(super) disk: BTreeMap<String, String>,
    pub(super) memory: Option<SimMemory>,
    /// Device state that fits the memory, and whatever is written beside it.
    pub(super) state: Option<Manifest>,
}

/// What a running guest knows.
#[derive(Debug, Clone, Default)]
pub(super) struct SimMemory {
    pub(super) values: BTreeMap<String, String>,
    pub(super) init: InitRequest,
    pub(super) is_frozen: bool,
}

#[derive(Debug)]
pub(super) struct SimVm {
    pub(super) process: VmProcess,
    crash: Option<oneshot::Sender<ExitReason>>,
    /// When its guest answers.
    up_at: Instant,
    /// Whether its virtual CPUs run.
    runs: bool,
}

impl SimWorld {
    pub(crate) fn new(options: SimOptions) -> Self {
        Self {
            options,
            inner: Mutex::default(),
            next_pid: AtomicU32::new(1),
            execs_running: AtomicI64::new(0),
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

    pub(super) fn next_fault(&self, step: SimStep) -> Option<SimFault> {
        let mut inner = self.inner.lock();
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

    /// Ends all machines, and waits until they have ended.
    pub(super) async fn crash_all(&self) {
        let all: Vec<_> = self.inner.lock().vms.values().map(|vm| vm.process.clone()).collect();
        for vm in all {
            self.crash(vm.record().id, ExitReason::Unknown);
            vm.exited().await;
        }
        self.inner.lock().slots.clear();
    }

    /// Returns the machines whose virtual machine runs.
    pub fn running(&self) -> Vec<SandboxId> {
        let mut running: Vec<_> = self.inner.lock().vms.keys().copied().collect();
        running.sort();
        running
    }

    /// Returns how often the machine was booted.
    pub fn boots(&self, id: SandboxId) -> u32 {
        self.inner.lock().boots.get(&id).copied().unwrap_or(0)
    }

    /// Returns the number of commands that run in all guests.
    pub fn execs_running(&self) -> i64 {
        self.execs_running.load(Ordering::Relaxed)
    }

    pub(super) fn note_exec(&self, change: i64) {
        self.execs_running.fetch_add(change, Ordering::Relaxed);
    }

    /// Returns everything that machines hold, and what is half-made, in words; empty if the host is clean.
    pub fn holdings(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let slots = inner.slots.iter().map(|(slot, id)| format!("slot {} of {id}", slot.0));
        let disks = inner.files.keys().map(|id| format!("disk of {id}"));
        let saved = inner.files.iter().filter(|(_, files)| files.state.is_some());
        let states = saved.map(|(id, _)| format!("state of {id}"));
        let vms = inner.vms.keys().map(|id| format!("vm of {id}"));
        let drafts = inner.drafts.keys().map(|artifact| format!("half of {artifact}"));
        slots.chain(disks).chain(states).chain(vms).chain(drafts).collect()
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

    /// Returns whether the root file system of a machine is frozen.
    pub fn is_frozen(&self, id: SandboxId) -> bool {
        self.inner
            .lock()
            .files
            .get(&id)
            .and_then(|files| files.memory.as_ref())
            .is_some_and(|it| it.is_frozen)
    }

    /// Replaces what runs the machines by another version; what was saved cannot be restored any more.
    pub fn set_vmm_version(&self, version: &str) {
        self.inner.lock().vmm_version = Some(version.to_owned());
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        sim_fingerprint(self.inner.lock().vmm_version.as_deref().unwrap_or("1"))
    }

    /// Changes what the guest of a machine knows.
    pub(super) fn with_memory<T>(
        &self,
        id: SandboxId,
        change: impl FnOnce(&mut SimMemory) -> T,
    ) -> Option<T> {
        self.inner.lock().files.get_mut(&id)?.memory.as_mut().map(change)
    }

    /// Changes what is on the disk of a machine.
    pub(super) fn with_disk<T>(
        &self,
        id: SandboxId,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> T,
    ) -> Option<T> {
        self.inner.lock().files.get_mut(&id).map(|files| change(&mut files.disk))
    }

    pub(super) fn init_of(&self, id: SandboxId) -> InitRequest {
        self.with_memory(id, |memory| memory.init.clone()).unwrap_or_default()
    }

    pub(super) fn is_up(&self, id: SandboxId) -> bool {
        let inner = self.inner.lock();
        inner.vms.get(&id).is_some_and(|vm| vm.runs && vm.up_at <= Instant::now())
    }

    /// Boots a machine from its disk, with empty memory.
    pub(super) fn boot(self: &Arc<Self>, id: SandboxId) -> VmProcess {
        {
            let mut inner = self.inner.lock();
            *inner.boots.entry(id).or_default() += 1;
            let files = inner.files.entry(id).or_default();
            files.memory = Some(SimMemory::default());
            files.state = None;
        }
        self.make_vm(id, Instant::now() + self.options.boot_delay, true)
    }

    /// Makes a machine from what was saved of it; none if nothing was.
    pub(super) fn restore(self: &Arc<Self>, id: SandboxId) -> Option<VmProcess> {
        let is_saved = |files: &SimFiles| files.state.is_some() && files.memory.is_some();
        let found = self.inner.lock().files.get(&id).is_some_and(is_saved);
        found.then(|| self.make_vm(id, Instant::now(), false))
    }

    fn make_vm(self: &Arc<Self>, id: SandboxId, up_at: Instant, runs: bool) -> VmProcess {
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
        let record = VmRecord {
            id,
            vmm: VmmKind::Simulated,
            vmm_version: "1".into(),
            process: ProcessIdentity { pid, start_ticks: 0, boot_id: String::new() },
            control_socket: "/nonexistent".into(),
            cgroup: None,
        };
        let (process, owner, requests) = VmProcess::new(record, None);
        let (crash, crashed) = oneshot::channel();
        let vm = SimVm { process: process.clone(), crash: Some(crash), up_at, runs };
        let second = self.inner.lock().vms.insert(id, vm);
        assert!(second.is_none(), "a machine has two virtual machines");
        let world = self.clone();
        tokio::spawn(async move { world.live(owner, crashed, requests).await });
        process
    }

    /// The life of one virtual machine.
    async fn live(
        &self,
        owner: VmOwner,
        mut crashed: oneshot::Receiver<ExitReason>,
        mut requests: mpsc::Receiver<VmRequest>,
    ) {
        let id = owner.record().id;
        let mut is_asked = true;
        let reason = loop {
            tokio::select! {
                () = owner.kill_requested() => {
                    sleep(self.options.kill_delay).await;
                    break ExitReason::Killed;
                }
                Ok(reason) = &mut crashed => break reason,
                request = requests.recv(), if is_asked => match request {
                    Some(request) => self.carry_out(id, request),
                    // Every agent that knew it is gone; it lives on.
                    None => is_asked = false,
                },
            }
        };
        self.inner.lock().vms.remove(&id);
        owner.report_exit(VmExit { reason, console: String::new(), log: String::new() });
    }

    fn carry_out(&self, id: SandboxId, request: VmRequest) {
        let (step, answer, runs) = match request {
            VmRequest::Console { answer } => return drop(answer.send(String::new())),
            VmRequest::ResizeDisk { answer, .. } => return drop(answer.send(Ok(()))),
            VmRequest::Suspend { answer, .. } => (SimStep::Suspend, answer, false),
            VmRequest::Run { answer } => (SimStep::Run, answer, true),
        };
        let fault = self.next_fault(step);
        if matches!(fault, None | Some(SimFault::StallAfter))
            && let Some(vm) = self.inner.lock().vms.get_mut(&id)
        {
            vm.runs = runs;
        }
        match fault {
            None => drop(answer.send(Ok(()))),
            Some(SimFault::Fail | SimFault::Panic) => {
                let failed = ControlError::Failed { id, action: "do as ordered", problem: "ordered".into() };
                drop(answer.send(Err(failed)));
            }
            Some(SimFault::StallBefore | SimFault::StallAfter) => {
                tokio::spawn(async move {
                    let mut answer = answer;
                    answer.closed().await;
                });
            }
        }
    }
}

/// What saved state depends on in a simulation of this version.
pub(crate) fn sim_fingerprint(version: &str) -> Fingerprint {
    Fingerprint {
        vmm: VmmKind::Simulated,
        vmm_version: version.to_owned(),
        accelerator: Accelerator::Simulated,
        cpu: CpuFingerprint::emulated("simulated"),
        tsc_khz: 1_000_000,
        layout: 1,
    }
}
