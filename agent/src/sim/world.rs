//! What a simulated host has: machines, slots and disks that are only noted down, and faults to order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use futures_util::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use wrenn_proto::{
    agent::{Capacity, Heartbeat},
    guest::InitRequest,
    ids::SandboxId,
};

use super::{SimGuest, SimOptions};
use crate::{
    machines::{
        backend::{AdoptError, Backend, BoxError, Guest, ReleaseError, StartError},
        record::{MachineSpec, Resources},
    },
    net::SlotNumber,
    vmm::{ExitReason, ProcessIdentity, VmExit, VmOwner, VmProcess, VmRecord, VmmKind},
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
    Kill,
    RemoveFiles,
    ReleaseSlot,
}

impl SimStep {
    /// All steps, in the order in which they come in the life of a machine.
    pub const ALL: [Self; 9] = [
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
    inner: Mutex<Inner>,
    next_pid: AtomicU32,
    execs_running: AtomicI64,
}

#[derive(Debug, Default)]
struct Inner {
    slots: BTreeMap<SlotNumber, SandboxId>,
    disks: BTreeSet<SandboxId>,
    vms: HashMap<SandboxId, SimVm>,
    faults: HashMap<SimStep, (SimFault, u32)>,
    boots: HashMap<SandboxId, u32>,
}

#[derive(Debug)]
struct SimVm {
    process: VmProcess,
    crash: Option<oneshot::Sender<ExitReason>>,
    booted_at: Instant,
    init: InitRequest,
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

    fn next_fault(&self, step: SimStep) -> Option<SimFault> {
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

    /// Returns everything that machines hold, in words; empty if the host is clean.
    pub fn holdings(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let slots = inner.slots.iter().map(|(slot, id)| format!("slot {} of {id}", slot.0));
        let disks = inner.disks.iter().map(|id| format!("disk of {id}"));
        let vms = inner.vms.keys().map(|id| format!("vm of {id}"));
        slots.chain(disks).chain(vms).collect()
    }

    pub(super) fn set_init(&self, id: SandboxId, init: InitRequest) {
        if let Some(vm) = self.inner.lock().vms.get_mut(&id) {
            vm.init = init;
        }
    }

    pub(super) fn init_of(&self, id: SandboxId) -> InitRequest {
        self.inner.lock().vms.get(&id).map(|vm| vm.init.clone()).unwrap_or_default()
    }

    pub(super) fn is_up(&self, id: SandboxId) -> bool {
        let inner = self.inner.lock();
        inner.vms.get(&id).is_some_and(|vm| vm.booted_at.elapsed() >= self.options.boot_delay)
    }

    fn boot(self: &Arc<Self>, id: SandboxId) -> VmProcess {
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
        let record = VmRecord {
            id,
            vmm: VmmKind::Simulated,
            vmm_version: "1".into(),
            process: ProcessIdentity { pid, start_ticks: 0, boot_id: String::new() },
            control_socket: "/nonexistent".into(),
            cgroup: None,
        };
        let (process, owner, _) = VmProcess::new(record, None);
        let (crash, crashed) = oneshot::channel();
        let mut inner = self.inner.lock();
        let vm = SimVm {
            process: process.clone(),
            crash: Some(crash),
            booted_at: Instant::now(),
            init: InitRequest::default(),
        };
        inner.vms.insert(id, vm);
        *inner.boots.entry(id).or_default() += 1;
        drop(inner);
        let world = self.clone();
        tokio::spawn(async move { world.live(owner, crashed).await });
        process
    }

    /// The life of one virtual machine.
    async fn live(&self, owner: VmOwner, crashed: oneshot::Receiver<ExitReason>) {
        let id = owner.record().id;
        let reason = tokio::select! {
            () = owner.kill_requested() => {
                sleep(self.options.kill_delay).await;
                ExitReason::Killed
            }
            Ok(reason) = crashed => reason,
        };
        self.inner.lock().vms.remove(&id);
        owner.report_exit(VmExit { reason, console: String::new(), log: String::new() });
    }
}

/// The steps of a simulated host.
#[derive(Debug)]
pub struct SimBackend {
    world: Arc<SimWorld>,
}

impl SimBackend {
    /// Makes the steps of a world.
    pub fn new(world: Arc<SimWorld>) -> Self {
        Self { world }
    }

    async fn take<T>(&self, step: SimStep, effect: impl FnOnce() -> T) -> Result<T, StartError> {
        self.world.step(step, effect).await.map_err(StartError::step("do as ordered"))
    }

    async fn release(&self, step: SimStep, effect: impl FnOnce()) -> Result<(), ReleaseError> {
        self.world.step(step, effect).await.map_err(ReleaseError::step("do as ordered"))
    }
}

impl Backend for SimBackend {
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<(), StartError>> {
        async move {
            self.take(SimStep::Admit, || ()).await?;
            let images = &self.world.options.images;
            if images.is_empty() || images.contains(&spec.image) {
                Ok(())
            } else {
                Err(StartError::TemplateMissing { image: spec.image.clone() })
            }
        }
        .boxed()
    }

    fn take_slot(&self, id: SandboxId) -> BoxFuture<'_, Result<SlotNumber, StartError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            let free = (0..u16::MAX).map(SlotNumber).find(|slot| !inner.slots.contains_key(slot))?;
            inner.slots.insert(free, id);
            Some(free)
        };
        async move {
            let slot = self.take(SimStep::TakeSlot, effect).await?;
            slot.ok_or_else(|| StartError::Spec("all slots are taken".into()))
        }
        .boxed()
    }

    fn make_disk<'a>(&'a self, id: SandboxId, _: &'a MachineSpec) -> BoxFuture<'a, Result<(), StartError>> {
        let effect = move || {
            self.world.inner.lock().disks.insert(id);
        };
        self.take(SimStep::MakeDisk, effect).boxed()
    }

    fn boot<'a>(
        &'a self,
        id: SandboxId,
        _: &'a MachineSpec,
        _: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        self.take(SimStep::Boot, move || self.world.boot(id)).boxed()
    }

    fn guest(&self, id: SandboxId) -> Arc<dyn Guest> {
        Arc::new(SimGuest::new(id, self.world.clone()))
    }

    fn host_ip(&self, slot: SlotNumber) -> String {
        format!("10.0.{}.{}", slot.0 / 256, slot.0 % 256)
    }

    fn adopt<'a>(&'a self, id: SandboxId, _: &'a Resources) -> BoxFuture<'a, Result<VmProcess, AdoptError>> {
        async move {
            let process = self.world.inner.lock().vms.get(&id).map(|vm| vm.process.clone());
            process.ok_or_else(|| AdoptError::Gone {
                reason: "the machine ended while the agent was away",
                source: "it is not in this world".into(),
            })
        }
        .boxed()
    }

    fn kill<'a>(&'a self, id: SandboxId, _: &'a Resources) -> BoxFuture<'a, Result<(), ReleaseError>> {
        async move {
            self.release(SimStep::Kill, || ()).await?;
            let process = self.world.inner.lock().vms.get(&id).map(|vm| vm.process.clone());
            if let Some(process) = process {
                process.kill().await.map_err(|error| ReleaseError::step("kill it")(error.into()))?;
            }
            Ok(())
        }
        .boxed()
    }

    fn remove_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let effect = move || {
            self.world.inner.lock().disks.remove(&id);
        };
        self.release(SimStep::RemoveFiles, effect).boxed()
    }

    fn release_slot<'a>(
        &'a self,
        id: SandboxId,
        _: &'a Resources,
    ) -> BoxFuture<'a, Result<(), ReleaseError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            assert!(!inner.vms.contains_key(&id), "a slot is released while its machine lives");
            inner.slots.retain(|_, owner| *owner != id);
        };
        self.release(SimStep::ReleaseSlot, effect).boxed()
    }

    fn vmm(&self) -> String {
        "simulated".into()
    }

    fn capacity(&self) -> Capacity {
        self.world.options.capacity
    }

    fn load(&self) -> Heartbeat {
        let Capacity { memory_mb, disk_mb, .. } = self.capacity();
        Heartbeat { memory_available_mb: memory_mb, disk_available_mb: disk_mb, load_1m: 0.1, machines: 0 }
    }
}
