//! The steps of a simulated host: each changes what the world notes down, or goes wrong as ordered.

use std::{path::Path, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt as _};
use wrenn_proto::{
    agent::{Capacity, Heartbeat},
    ids::{SandboxId, TemplateId},
};

use super::{
    BootSnapshots, SimGuest,
    world::{Inner, SimFiles, SimStep, SimWorld},
};
use crate::{
    machines::{
        backend::{AdoptError, Backend, BoxError, Discard, Guest, ReleaseError, SaveError, StartError},
        leases::{Artifact, Leases},
        library::{Admitted, BootPlan, Draft, Library, Made, Parts, Template, TemplateFiles},
        manifest::{Kind, Manifest},
        record::{MachineSpec, Resources},
    },
    net::SlotNumber,
    vmm::{Fingerprint, VmProcess},
};

/// What a flattened disk is said to need, in MiB.
const FLAT_MB: u32 = 300;
/// What a template is said to occupy, in bytes.
const SIZE_BYTES: u64 = 1 << 20;

/// The steps of a simulated host.
#[derive(Debug)]
pub struct SimBackend {
    world: Arc<SimWorld>,
    leases: Leases,
}

impl SimBackend {
    /// Makes the steps of a world.
    pub fn new(world: Arc<SimWorld>) -> Self {
        Self { world, leases: Leases::default() }
    }

    async fn take<T>(
        &self,
        step: SimStep,
        effect: impl FnOnce(&mut Inner) -> Result<T, BoxError>,
    ) -> Result<T, StartError> {
        self.flat(step, effect).await.map_err(StartError::step("do as ordered"))
    }

    async fn save<T>(
        &self,
        step: SimStep,
        effect: impl FnOnce(&mut Inner) -> Result<T, BoxError>,
    ) -> Result<T, SaveError> {
        self.flat(step, effect).await.map_err(SaveError::step("do as ordered"))
    }

    async fn flat<T>(
        &self,
        step: SimStep,
        effect: impl FnOnce(&mut Inner) -> Result<T, BoxError>,
    ) -> Result<T, BoxError> {
        self.world.step(step, || effect(&mut self.world.inner.lock())).await?
    }

    async fn release(&self, step: SimStep, effect: impl FnOnce(&mut Inner)) -> Result<(), ReleaseError> {
        let done = self.world.step(step, || effect(&mut self.world.inner.lock())).await;
        done.map_err(ReleaseError::step("do as ordered"))
    }

    fn made(&self, artifact: &Artifact) -> Option<Made> {
        let lease = self.leases.share(artifact)?;
        let manifest = self.world.inner.lock().artifacts.get(artifact)?.1.clone();
        Some(Made { manifest, lease })
    }

    fn plan(&self, spec: &MachineSpec) -> Result<Admitted, StartError> {
        let options = self.world.options();
        if spec.image.is_empty() {
            let missing = || StartError::TemplateMissing { name: spec.template_id.clone() };
            let id: TemplateId = spec.template_id.parse().map_err(|_| missing())?;
            let made = self.made(&Artifact::Template(id)).ok_or_else(missing)?;
            if made.manifest.kind == Kind::Snapshot {
                made.manifest.check_restore(&self.world.fingerprint()).map_err(StartError::Incompatible)?;
            }
            let boot = self.boot_plan(&spec.template_id, spec);
            return Ok(Admitted { template: Template::Made(made), boot });
        }
        if !options.images.is_empty() && !options.images.contains(&spec.image) {
            return Err(StartError::TemplateMissing { name: spec.image.clone() });
        }
        Ok(Admitted {
            template: Template::Image(spec.image.clone()),
            boot: self.boot_plan(&spec.image, spec),
        })
    }

    fn boot_plan(&self, source: &str, spec: &MachineSpec) -> BootPlan {
        if self.world.options().boot_snapshots == BootSnapshots::Off {
            return BootPlan::Boot;
        }
        let artifact = Artifact::BootSnapshot(format!("{source}+{}x{}", spec.vcpus, spec.memory_mb));
        match self.made(&artifact) {
            Some(made) if made.manifest.check_restore(&self.world.fingerprint()).is_ok() => {
                BootPlan::Restore(made)
            }
            Some(_) => BootPlan::Boot,
            None => BootPlan::Keep { artifact, disk_size_mb: spec.disk_size_mb },
        }
    }
}

fn files(inner: &mut Inner, id: SandboxId) -> Result<&mut SimFiles, BoxError> {
    inner.files.get_mut(&id).ok_or_else(|| "the machine has no files".into())
}

impl Backend for SimBackend {
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<Admitted, StartError>> {
        async move {
            self.take(SimStep::Admit, |_| Ok(())).await?;
            self.plan(spec)
        }
        .boxed()
    }

    fn take_slot(&self, id: SandboxId) -> BoxFuture<'_, Result<SlotNumber, StartError>> {
        let effect = move |inner: &mut Inner| {
            let free = (0..u16::MAX).map(SlotNumber).find(|slot| !inner.slots.contains_key(slot));
            let free = free.ok_or("all slots are taken")?;
            inner.slots.insert(free, id);
            Ok(free)
        };
        self.take(SimStep::TakeSlot, effect).boxed()
    }

    fn make_disk<'a>(
        &'a self,
        id: SandboxId,
        template: &'a Template,
        _: u32,
    ) -> BoxFuture<'a, Result<(), StartError>> {
        let effect = move |inner: &mut Inner| {
            let disk = match template {
                Template::Image(_) => Default::default(),
                Template::Made(made) => {
                    inner.artifacts.get(made.lease.artifact()).ok_or("no such template")?.0.disk.clone()
                }
            };
            inner.files.insert(id, SimFiles { disk, memory: None, state: None });
            Ok(())
        };
        self.take(SimStep::MakeDisk, effect).boxed()
    }

    fn clone_saved<'a>(&'a self, id: SandboxId, source: &'a Made) -> BoxFuture<'a, Result<(), StartError>> {
        let effect = move |inner: &mut Inner| {
            let saved = inner.artifacts.get(source.lease.artifact()).ok_or("no such template")?.0.clone();
            inner.files.insert(id, saved);
            Ok(())
        };
        self.take(SimStep::CloneSaved, effect).boxed()
    }

    fn boot<'a>(
        &'a self,
        id: SandboxId,
        _: &'a MachineSpec,
        _: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
            let booted = self.world.step(SimStep::Boot, || self.world.boot(id)).await;
            booted.map_err(StartError::step("do as ordered"))
        }
        .boxed()
    }

    fn restore<'a>(
        &'a self,
        id: SandboxId,
        _: &'a MachineSpec,
        _: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
            let restored = self.world.step(SimStep::Restore, || self.world.restore(id)).await;
            let restored = restored.map_err(StartError::step("do as ordered"))?;
            restored.ok_or_else(|| StartError::step("restore the machine")("nothing was saved".into()))
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
            let suspended = vm.suspend(Path::new("state")).await;
            suspended.map_err(|error| SaveError::step("save the machine")(error.into()))?;
            let mut inner = self.world.inner.lock();
            let files = files(&mut inner, id).map_err(SaveError::step("save the machine"))?;
            files.state = Some(manifest.clone());
            Ok(())
        }
        .boxed()
    }

    fn saved(&self, id: SandboxId) -> BoxFuture<'_, Result<Manifest, StartError>> {
        let effect = move |inner: &mut Inner| {
            files(inner, id)?.state.clone().ok_or_else(|| BoxError::from("nothing was saved"))
        };
        async move { self.flat(SimStep::Saved, effect).await.map_err(StartError::Unreadable) }.boxed()
    }

    fn sync_files(&self, _: SandboxId) -> BoxFuture<'_, Result<(), SaveError>> {
        self.save(SimStep::SyncFiles, |_| Ok(())).boxed()
    }

    fn discard(&self, id: SandboxId, what: Discard) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let effect = move |inner: &mut Inner| {
            let Some(files) = inner.files.get_mut(&id) else { return };
            files.state = None;
            if what == Discard::Memory {
                files.memory = None;
            }
        };
        self.release(SimStep::Discard, effect).boxed()
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
            self.release(SimStep::Kill, |_| ()).await?;
            let process = self.world.inner.lock().vms.get(&id).map(|vm| vm.process.clone());
            if let Some(process) = process {
                process.kill().await.map_err(|error| ReleaseError::step("kill it")(error.into()))?;
            }
            Ok(())
        }
        .boxed()
    }

    fn remove_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let effect = move |inner: &mut Inner| {
            inner.files.remove(&id);
        };
        self.release(SimStep::RemoveFiles, effect).boxed()
    }

    fn release_slot<'a>(
        &'a self,
        id: SandboxId,
        _: &'a Resources,
    ) -> BoxFuture<'a, Result<(), ReleaseError>> {
        let effect = move |inner: &mut Inner| {
            assert!(!inner.vms.contains_key(&id), "a slot is released while its machine lives");
            inner.slots.retain(|_, owner| *owner != id);
        };
        self.release(SimStep::ReleaseSlot, effect).boxed()
    }

    fn vmm(&self) -> String {
        "simulated".into()
    }

    fn capacity(&self) -> Capacity {
        self.world.options().capacity
    }

    fn load(&self) -> Heartbeat {
        let Capacity { memory_mb, disk_mb, .. } = self.capacity();
        Heartbeat { memory_available_mb: memory_mb, disk_available_mb: disk_mb, load_1m: 0.1, machines: 0 }
    }
}

impl Library for SimBackend {
    fn fingerprint(&self) -> Fingerprint {
        self.world.fingerprint()
    }

    fn admit_template(&self, _: u32) -> BoxFuture<'_, Result<(), SaveError>> {
        self.save(SimStep::AdmitTemplate, |_| Ok(())).boxed()
    }

    fn begin<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<Draft, SaveError>> {
        async move {
            let exclusive = self.leases.try_hold(artifact).ok_or(SaveError::Taken)?;
            if self.world.inner.lock().artifacts.contains_key(artifact) {
                return Err(SaveError::Taken);
            }
            let effect = |inner: &mut Inner| {
                inner.drafts.insert(artifact.clone(), SimFiles::default());
                Ok(())
            };
            self.save(SimStep::Begin, effect).await?;
            Ok(Draft::new(exclusive))
        }
        .boxed()
    }

    fn suspend_into<'a>(
        &'a self,
        _: &'a Draft,
        _: SandboxId,
        vm: &'a VmProcess,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            let suspended = vm.suspend(Path::new("state")).await;
            suspended.map_err(|error| SaveError::step("save the machine")(error.into()))
        }
        .boxed()
    }

    fn copy_into<'a>(
        &'a self,
        draft: &'a Draft,
        id: SandboxId,
        parts: Parts,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        let effect = move |inner: &mut Inner| {
            let from = files(inner, id)?.clone();
            let copy = match parts {
                Parts::Disk => SimFiles { memory: None, state: None, ..from },
                Parts::DiskAndMemory | Parts::All => from,
            };
            inner.drafts.insert(draft.artifact().clone(), copy);
            Ok(())
        };
        self.save(SimStep::CopyInto, effect).boxed()
    }

    fn flatten<'a>(&'a self, _: &'a Draft) -> BoxFuture<'a, Result<u32, SaveError>> {
        self.save(SimStep::Flatten, |_| Ok(FLAT_MB)).boxed()
    }

    fn finish<'a>(
        &'a self,
        draft: &'a Draft,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<u64, SaveError>> {
        let effect = move |inner: &mut Inner| {
            let artifact = draft.artifact();
            let mut made = inner.drafts.remove(artifact).ok_or("it was never begun")?;
            made.state = (manifest.kind == Kind::Snapshot).then(|| manifest.clone());
            inner.artifacts.insert(artifact.clone(), (made, manifest.clone()));
            Ok(SIZE_BYTES)
        };
        self.save(SimStep::Finish, effect).boxed()
    }

    fn discard_draft<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<(), ReleaseError>> {
        let effect = move |inner: &mut Inner| {
            inner.drafts.remove(artifact);
        };
        self.release(SimStep::DiscardDraft, effect).boxed()
    }

    fn template(&self, id: TemplateId) -> Option<TemplateFiles> {
        let inner = self.world.inner.lock();
        let (_, manifest) = inner.artifacts.get(&Artifact::Template(id))?;
        Some(TemplateFiles { manifest: manifest.clone(), size_bytes: SIZE_BYTES })
    }

    fn template_ids(&self) -> Vec<TemplateId> {
        self.world.templates()
    }

    fn drop_template(&self, id: TemplateId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            let artifact = Artifact::Template(id);
            let _exclusive = self.leases.hold(&artifact).await;
            let effect = |inner: &mut Inner| {
                inner.artifacts.remove(&artifact);
            };
            self.release(SimStep::DropTemplate, effect).await
        }
        .boxed()
    }

    fn drop_boot_snapshot(&self, made: Made) -> BoxFuture<'_, ()> {
        async move {
            self.world.inner.lock().artifacts.remove(made.lease.artifact());
        }
        .boxed()
    }

    fn collect(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
