//! The steps of machines on a real host.

use std::{fs, io, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt as _};
use wrenn_base::{Chain, blocking};
use wrenn_proto::{agent as wire, ids::SandboxId};

use super::{
    Held, NoGuest, RealBackend, Shortage,
    files::{self, DISK, MANIFEST, STATE},
};
use crate::{
    disk::{Durability, atomic_write},
    guest::{Guest, GuestClient},
    host_load,
    machines::{
        backend::{AdoptError, Backend, BoxError, Discard, ReleaseError, SaveError, StartError},
        kernel_modules::MODULES_FILE,
        library::{Admitted, BootPlan, Library as _, Made, Parts, Template, TemplateMemory},
        manifest::Manifest,
        record::{MachineSpec, Resources},
    },
    metrics::{Meter, MeterSource, ProcessMeter},
    net::{AdoptSlotError, SlotNumber, TAP},
    vmm::{self, MEMORY_FILE, VmProcess, VmRecord, Vmm as _},
};

/// Smallest and largest machine.
const VCPUS: std::ops::RangeInclusive<u32> = 1..=64;
const MEMORY_MB_MIN: u32 = 64;

impl RealBackend {
    /// Stops a machine; what is needed to restore it is durable then, except memory and disk.
    async fn save_state(&self, id: SandboxId, vm: &VmProcess, manifest: &Manifest) -> Result<(), BoxError> {
        let dir = self.dir(id);
        let (state, path) = (dir.join(STATE), dir.join(MANIFEST));
        // What can be done before the machine stands still is done before.
        files::remove(vec![state.clone()]).await?;
        let text = serde_json::to_vec_pretty(manifest)?;
        blocking(move || {
            atomic_write(&path, &text, Durability::Disk)
                .map_err(|error| io::Error::other(Chain(&error).to_string()))
        })
        .await?;
        vm.suspend(&state).await?;
        self.volume.sync_file(&state).await?;
        Ok(())
    }

    async fn read_saved(&self, id: SandboxId) -> Result<Manifest, BoxError> {
        let dir = self.dir(id);
        blocking(move || {
            for file in files::ALL {
                fs::metadata(dir.join(file))?;
            }
            files::read_manifest(&dir)
        })
        .await
        .map_err(Into::into)
    }
}

impl MeterSource for RealBackend {
    fn measurable(&self) -> Vec<VmRecord> {
        self.held.lock().values().filter_map(|held| Some(held.vm.as_ref()?.record().clone())).collect()
    }

    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>> {
        Ok(Box::new(ProcessMeter::open(&vm.process, self.dir(vm.id).join(DISK), TAP)?))
    }
}

impl Backend for RealBackend {
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<Admitted, StartError>> {
        async move {
            if !VCPUS.contains(&spec.vcpus) || spec.memory_mb < MEMORY_MB_MIN {
                let limits = format!("{}–{} vCPUs, at least {MEMORY_MB_MIN} MiB", VCPUS.start(), VCPUS.end());
                return Err(StartError::Spec(format!("a machine must have {limits}")));
            }
            let template = self.template_of(spec)?;
            let memory = self.judge_memory(&template, spec).map_err(StartError::Spec)?;
            // The guest's memory is a file of the volume, too.
            let room = self.find_room(spec.memory_mb).await;
            room.map_err(|Shortage { free_mb, reserve_mb }| StartError::NoSpace { free_mb, reserve_mb })?;
            let (boot, useless_memory) = match memory {
                TemplateMemory::Fits => (BootPlan::RestoreTemplate, None),
                TemplateMemory::None => (self.boot_plan(spec, &template).await, None),
                TemplateMemory::Useless(why) => (self.boot_plan(spec, &template).await, Some(why)),
            };
            Ok(Admitted { template, boot, useless_memory })
        }
        .boxed()
    }

    fn take_slot(&self, id: SandboxId) -> BoxFuture<'_, Result<SlotNumber, StartError>> {
        async move {
            let slot =
                self.pool.take().await.map_err(|error| StartError::step("make a network")(error.into()))?;
            let number = slot.number();
            self.held.lock().entry(id).or_default().slot = Some(slot);
            Ok(number)
        }
        .boxed()
    }

    fn make_disk<'a>(
        &'a self,
        id: SandboxId,
        template: &'a Template,
        size_mb: u32,
    ) -> BoxFuture<'a, Result<(), StartError>> {
        async move { self.clone_disk(id, template, size_mb).await.map_err(StartError::step("make a disk")) }
            .boxed()
    }

    fn clone_saved<'a>(&'a self, id: SandboxId, source: &'a Made) -> BoxFuture<'a, Result<(), StartError>> {
        async move { self.clone_all(id, source).await.map_err(StartError::step("clone what was saved")) }
            .boxed()
    }

    fn boot<'a>(
        &'a self,
        id: SandboxId,
        spec: &'a MachineSpec,
        slot: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
            let modules = self.modules.give_current(&self.dir(id)).await;
            modules.map_err(|error| StartError::step("prepare the virtual machine")(error.into()))?;
            let spec =
                self.boot_spec(id, spec, slot).map_err(StartError::step("prepare the virtual machine"))?;
            let vm = self.qemu.boot(&spec).await;
            let vm = vm.map_err(|error| StartError::step("boot the virtual machine")(error.into()))?;
            self.held.lock().entry(id).or_default().vm = Some(vm.clone());
            Ok(vm)
        }
        .boxed()
    }

    fn restore<'a>(
        &'a self,
        id: SandboxId,
        spec: &'a MachineSpec,
        slot: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
            let spec =
                self.boot_spec(id, spec, slot).map_err(StartError::step("prepare the virtual machine"))?;
            let vm = self.qemu.restore(&spec, &self.dir(id).join(STATE)).await;
            let vm = vm.map_err(|error| StartError::step("restore the virtual machine")(error.into()))?;
            self.held.lock().entry(id).or_default().vm = Some(vm.clone());
            Ok(vm)
        }
        .boxed()
    }

    fn suspend<'a>(
        &'a self,
        id: SandboxId,
        vm: &'a VmProcess,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            self.save_state(id, vm, manifest).await.map_err(SaveError::step("save the machine's state"))
        }
        .boxed()
    }

    fn saved(&self, id: SandboxId) -> BoxFuture<'_, Result<Manifest, StartError>> {
        async move { self.read_saved(id).await.map_err(StartError::Unreadable) }.boxed()
    }

    fn sync_files(&self, id: SandboxId, parts: Parts) -> BoxFuture<'_, Result<(), SaveError>> {
        let names: &[&str] = match parts {
            Parts::Disk => &[DISK],
            Parts::DiskAndMemory | Parts::All => &[MEMORY_FILE, DISK],
        };
        async move {
            for file in names {
                let synced = self.volume.sync_file(&self.dir(id).join(file)).await;
                synced.map_err(|error| {
                    SaveError::step("write the machine's files to the disk")(error.into())
                })?;
            }
            Ok(())
        }
        .boxed()
    }

    fn discard(&self, id: SandboxId, what: Discard) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            let dir = self.dir(id);
            let mut gone = vec![dir.join(STATE), dir.join(MANIFEST)];
            if what == Discard::Memory {
                // The disk of modules was for that memory; a boot gets the current one.
                gone.extend([dir.join(MEMORY_FILE), dir.join(MODULES_FILE)]);
            }
            let removed = files::remove(gone).await;
            removed.map_err(|error| ReleaseError::step("remove what was saved")(error.into()))
        }
        .boxed()
    }

    fn guest(&self, id: SandboxId) -> Arc<dyn Guest> {
        let mut held = self.held.lock();
        match held.get_mut(&id) {
            Some(Held { slot: Some(slot), guest, .. }) => {
                guest.get_or_insert_with(|| Arc::new(GuestClient::new(slot.netns()))).clone()
            }
            _ => Arc::new(NoGuest),
        }
    }

    fn host_ip(&self, slot: SlotNumber) -> String {
        self.pool.address(slot).to_string()
    }

    fn adopt<'a>(
        &'a self,
        id: SandboxId,
        resources: &'a Resources,
    ) -> BoxFuture<'a, Result<VmProcess, AdoptError>> {
        async move {
            let gone = |reason, source| AdoptError::Gone { reason, source };
            // Another incarnation of the machine's actor may have it at hand already.
            let (vm, has_slot) = {
                let held = self.held.lock();
                let held = held.get(&id);
                (held.and_then(|held| held.vm.clone()), held.is_some_and(|held| held.slot.is_some()))
            };
            if let (Some(vm), true) = (vm, has_slot) {
                return Ok(vm);
            }
            let (Some(number), Some(record)) = (resources.slot, &resources.vm) else {
                return Err(gone(
                    "the machine was never complete",
                    "its record lacks slot or process".into(),
                ));
            };
            let vm = self.qemu.adopt(record).await.map_err(|error| match error {
                vmm::AdoptError::Gone { .. } => {
                    gone("the machine ended while the agent was away", error.into())
                }
                vmm::AdoptError::WrongDriver { .. } => {
                    gone("the agent cannot run this machine any more", error.into())
                }
                error => AdoptError::Unclear(error.into()),
            })?;
            if !has_slot {
                let slot = self.pool.adopt(number).await.map_err(|error| match error {
                    AdoptSlotError::Resolver { .. } => AdoptError::Unclear(error.into()),
                    error => gone("the machine's network is gone", error.into()),
                })?;
                self.held.lock().entry(id).or_default().slot = Some(slot);
            }
            self.held.lock().entry(id).or_default().vm = Some(vm.clone());
            Ok(vm)
        }
        .boxed()
    }

    fn kill<'a>(
        &'a self,
        id: SandboxId,
        resources: &'a Resources,
    ) -> BoxFuture<'a, Result<(), ReleaseError>> {
        async move {
            let at_hand = self.held.lock().get(&id).and_then(|held| held.vm.clone());
            let killed = match (at_hand, &resources.vm) {
                (Some(vm), _) => vm.kill().await.map(drop),
                (None, Some(record)) => self.qemu.kill(record).await,
                (None, None) => Ok(()),
            };
            killed.map_err(|error| ReleaseError::step("kill the virtual machine")(error.into()))?;
            if let Some(held) = self.held.lock().get_mut(&id) {
                held.vm = None;
                held.guest = None;
            }
            let cgroup = self.cgroups.machine(id).remove().await;
            cgroup.map_err(|error| ReleaseError::step("remove its cgroup")(error.into()))?;
            let removed = files::remove_folders(vec![self.runtime_dir(id)]).await;
            removed.map_err(|error| ReleaseError::step("remove its sockets")(error.into()))
        }
        .boxed()
    }

    fn remove_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            let removed = files::remove_folders(vec![self.dir(id)]).await;
            removed.map_err(|error| ReleaseError::step("remove its files")(error.into()))
        }
        .boxed()
    }

    fn release_slot<'a>(
        &'a self,
        id: SandboxId,
        resources: &'a Resources,
    ) -> BoxFuture<'a, Result<(), ReleaseError>> {
        async move {
            let held = self.held.lock().remove(&id);
            let slot = match (held.and_then(|held| held.slot), resources.slot) {
                (Some(slot), _) => slot,
                (None, None) => return Ok(()),
                (None, Some(number)) => match self.pool.adopt(number).await {
                    Ok(slot) => slot,
                    // It went with the machine's namespace, or was released before.
                    Err(AdoptSlotError::Missing(_) | AdoptSlotError::NotKept(_)) => return Ok(()),
                    Err(error) => return Err(ReleaseError::step("take its network over")(error.into())),
                },
            };
            if let Err(error) = self.pool.release(slot).await {
                // The pool keeps it out of use, and removes it when the agent starts the next time.
                tracing::error!(sandbox_id = %id, error = %Chain(&error), "a network is left over");
            }
            Ok(())
        }
        .boxed()
    }

    fn vmm(&self) -> String {
        self.qemu.description()
    }

    fn capacity(&self) -> wire::Capacity {
        host_load::capacity(self.volume.capacity_bytes().unwrap_or(0))
    }

    fn load(&self) -> wire::Heartbeat {
        host_load::load(self.free_bytes())
    }
}
