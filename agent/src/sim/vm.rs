//! The virtual machine of a simulated machine.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::sync::{mpsc, oneshot};
use wrenn_proto::ids::SandboxId;

use super::world::{Inner, SimMemory, SimSaved, SimStep, SimVm, SimWorld, Vcpus};
use crate::{
    machines::backend::BoxError,
    vmm::{
        ControlError, ExitReason, ProcessIdentity, VmExit, VmOwner, VmProcess, VmRecord, VmRequest, VmmKind,
    },
};

impl SimWorld {
    /// Boots a machine: its memory is new.
    pub(super) fn boot(self: &Arc<Self>, id: SandboxId) -> VmProcess {
        {
            let mut inner = self.inner.lock();
            assert!(inner.disks.contains_key(&id), "a machine is booted without a disk");
            inner.memories.insert(id, SimMemory::default());
            *inner.boots.entry(id).or_default() += 1;
        }
        self.begin_vm(id, Vcpus::Running)
    }

    /// Makes a machine from its memory and device state; its virtual CPUs do not run yet.
    pub(super) fn restore(self: &Arc<Self>, id: SandboxId) -> Result<VmProcess, BoxError> {
        {
            let mut inner = self.inner.lock();
            let saved = inner.saved.get(&id).ok_or("there is no device state")?;
            assert!(!saved.stale, "a machine is restored from memory that is not what was saved");
            assert!(inner.memories.contains_key(&id) && inner.disks.contains_key(&id));
            *inner.restores.entry(id).or_default() += 1;
        }
        Ok(self.begin_vm(id, Vcpus::Stopped))
    }

    fn begin_vm(self: &Arc<Self>, id: SandboxId, vcpus: Vcpus) -> VmProcess {
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
        let record = VmRecord {
            id,
            vmm: VmmKind::Simulated,
            vmm_version: self.fingerprint().vmm_version,
            fingerprint: Some(self.fingerprint()),
            process: ProcessIdentity { pid, start_ticks: 0, boot_id: self.boot_id() },
            control_socket: "/nonexistent".into(),
            cgroup: None,
        };
        let (process, owner, requests) = VmProcess::new(record, None);
        let (crash, crashed) = oneshot::channel();
        let vm = SimVm {
            process: process.clone(),
            crash: Some(crash),
            vcpus,
            runs_since: self.clock.now(),
            figures: Default::default(),
        };
        let before = self.inner.lock().vms.insert(id, vm);
        assert!(before.is_none(), "a machine has two virtual machines");
        let world = self.clone();
        tokio::spawn(async move { world.live(owner, requests, crashed).await });
        process
    }

    /// The life of one virtual machine.
    async fn live(
        self: Arc<Self>,
        owner: VmOwner,
        mut requests: mpsc::Receiver<VmRequest>,
        mut crashed: oneshot::Receiver<ExitReason>,
    ) {
        let id = owner.record().id;
        let reason = loop {
            tokio::select! {
                () = owner.kill_requested() => {
                    self.clock.sleep(self.options.kill_delay).await;
                    break ExitReason::Killed;
                }
                reason = &mut crashed => break reason.unwrap_or(ExitReason::Unknown),
                request = requests.recv() => match request {
                    // A task of its own: a request that was ordered to stand still must not keep the machine alive.
                    Some(request) => drop(tokio::spawn(self.clone().answer(id, request))),
                    None => break ExitReason::Unknown,
                },
            }
        };
        let pid = owner.record().process.pid;
        let mut inner = self.inner.lock();
        // After a loss of power another one may have its place.
        if inner.vms.get(&id).is_some_and(|vm| vm.process.record().process.pid == pid) {
            inner.vms.remove(&id);
        }
        drop(inner);
        owner.report_exit(VmExit { reason, console: String::new(), log: String::new() });
    }

    async fn answer(self: Arc<Self>, id: SandboxId, request: VmRequest) {
        let (answer, done) = match request {
            // Whoever asked may have given up; this goes for all answers.
            VmRequest::Console { answer } => return drop(answer.send(String::new())),
            VmRequest::Suspend { answer, .. } => {
                let effect = || self.inner.lock().suspend(id);
                (answer, self.step(SimStep::Suspend, effect).await)
            }
            VmRequest::Run { answer } => {
                let effect = || self.inner.lock().run(id, self.clock.now());
                (answer, self.step(SimStep::Run, effect).await)
            }
            VmRequest::ResizeDisk { answer, .. } => (answer, self.step(SimStep::ResizeDisk, || ()).await),
        };
        let failed = |problem: BoxError| ControlError::Failed {
            id,
            action: "do as ordered",
            problem: problem.to_string(),
        };
        drop(answer.send(done.map_err(failed)));
    }
}

impl Inner {
    fn suspend(&mut self, id: SandboxId) {
        if let Some(vm) = self.vms.get_mut(&id) {
            vm.vcpus = Vcpus::Stopped;
        }
    }

    fn run(&mut self, id: SandboxId, now: Instant) {
        if let Some(vm) = self.vms.get_mut(&id)
            && vm.vcpus == Vcpus::Stopped
        {
            (vm.vcpus, vm.runs_since) = (Vcpus::Running, now);
            if let Some(SimSaved { stale, .. }) = self.saved.get_mut(&id) {
                *stale = true;
            }
        }
    }
}
