//! The steps of a simulated host.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, FutureExt as _},
    stream,
};
use wrenn_proto::{
    DEFAULT_DISK_MB,
    agent::{Capacity, Heartbeat, TemplateExtent, TemplateFile, TemplateFileKind},
    ids::{SandboxId, TemplateId},
};

use super::{
    guest::SimGuest,
    options::BootSnapshots,
    transfer::content,
    world::{Inner, SimDisk, SimDraft, SimMade, SimSaved, SimStep, SimWorld},
};
use crate::{
    guest::Guest,
    machines::{
        backend::{AdoptError, Backend, Discard, ReleaseError, SaveError, StartError},
        leases::{Artifact, Leases},
        library::{
            Admitted, BootPlan, Draft, Library, Made, Parts, Template, TemplateFiles, TemplateMemory,
            TemplateReader,
        },
        manifest::{Incompatible, Kind, Manifest},
        record::{MachineSpec, Resources},
    },
    net::SlotNumber,
    vmm::{Fingerprint, VmProcess},
};

/// Where nothing is written to.
const NOWHERE: &str = "/nonexistent/state";
/// What is left of a disk that is made small, in MiB.
const FLAT_MB: u32 = 256;
const MIB: u64 = 1 << 20;
/// Of what is sent of a template, so small that it is more than one extent.
const EXTENT_BYTES: usize = 64;

/// The steps of a simulated host.
#[derive(Debug)]
pub struct SimBackend {
    pub(super) world: Arc<SimWorld>,
    leases: Leases,
}

impl SimBackend {
    /// Makes the steps of a world, for a new agent.
    pub fn new(world: Arc<SimWorld>) -> Self {
        Self { world, leases: Leases::default() }
    }

    async fn take<T>(&self, step: SimStep, effect: impl FnOnce() -> T) -> Result<T, StartError> {
        self.world.step(step, effect).await.map_err(StartError::step("do as ordered"))
    }

    async fn save<T>(&self, step: SimStep, effect: impl FnOnce() -> T) -> Result<T, SaveError> {
        self.world.step(step, effect).await.map_err(SaveError::step("do as ordered"))
    }

    async fn release(&self, step: SimStep, effect: impl FnOnce()) -> Result<(), ReleaseError> {
        self.world.step(step, effect).await.map_err(ReleaseError::step("do as ordered"))
    }

    fn made(&self, artifact: &Artifact) -> Option<Made> {
        let lease = self.leases.share(artifact)?;
        let manifest = self.world.inner.lock().artifacts.get(artifact)?.manifest.clone();
        Some(Made { manifest: Box::new(manifest), lease })
    }

    fn template_of(&self, spec: &MachineSpec) -> Result<Template, StartError> {
        let missing = |name: &str| StartError::TemplateMissing { name: name.to_owned() };
        if spec.image.is_empty() {
            let id = spec.template_id.parse().map_err(|_| missing(&spec.template_id))?;
            let made = self.made(&Artifact::Template(id)).ok_or_else(|| missing(&spec.template_id))?;
            return Ok(Template::Made(made));
        }
        let images = &self.world.options.images;
        if images.is_empty() || images.contains(&spec.image) {
            Ok(Template::Image(spec.image.clone()))
        } else {
            Err(missing(&spec.image))
        }
    }

    fn boot_plan(&self, spec: &MachineSpec, template: &Template) -> BootPlan {
        if self.world.options.boot_snapshots == BootSnapshots::Off || spec.disk_size_mb < DEFAULT_DISK_MB {
            return BootPlan::Boot;
        }
        let origin = match template {
            Template::Image(name) => name.clone(),
            Template::Made(made) => made.lease.artifact().to_string(),
        };
        let artifact = Artifact::BootSnapshot(format!("{origin}.{}x{}", spec.vcpus, spec.memory_mb));
        match self.made(&artifact) {
            Some(made) if made.manifest.check_restore(&self.world.fingerprint()).is_ok() => {
                BootPlan::Restore(made)
            }
            Some(_) => BootPlan::Boot,
            None => BootPlan::Keep { artifact, disk_size_mb: DEFAULT_DISK_MB },
        }
    }
}

impl Backend for SimBackend {
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<Admitted, StartError>> {
        async move {
            self.take(SimStep::Admit, || ()).await?;
            let template = self.template_of(spec)?;
            if self.world.is_full() {
                return Err(StartError::NoSpace { free_mb: 0, reserve_mb: 1 });
            }
            let memory = self.judge_memory(&template, spec).map_err(StartError::Spec)?;
            let (boot, useless_memory) = match memory {
                TemplateMemory::Fits => (BootPlan::RestoreTemplate, None),
                TemplateMemory::None => (self.boot_plan(spec, &template), None),
                TemplateMemory::Useless(why) => (self.boot_plan(spec, &template), Some(why)),
            };
            Ok(Admitted { template, boot, useless_memory })
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

    fn make_disk<'a>(
        &'a self,
        id: SandboxId,
        template: &'a Template,
        size_mb: u32,
    ) -> BoxFuture<'a, Result<(), StartError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            let mut disk = match template {
                Template::Image(_) => SimDisk::default(),
                Template::Made(made) => {
                    let made = inner.artifacts.get(made.lease.artifact());
                    made.map(|made| made.disk.clone()).unwrap_or_default()
                }
            };
            disk.size_mb = disk.size_mb.max(size_mb);
            inner.disks.insert(id, disk);
        };
        self.take(SimStep::MakeDisk, effect).boxed()
    }

    fn clone_saved<'a>(&'a self, id: SandboxId, source: &'a Made) -> BoxFuture<'a, Result<(), StartError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            let Some(made) = inner.artifacts.get(source.lease.artifact()).cloned() else {
                panic!("an artifact in use was removed")
            };
            inner.disks.insert(id, made.disk);
            inner.memories.insert(id, made.memory.unwrap_or_default());
            let saved = SimSaved { manifest: Some(made.manifest), stale: false, synced: false };
            inner.saved.insert(id, saved);
        };
        self.take(SimStep::CloneSaved, effect).boxed()
    }

    fn boot<'a>(
        &'a self,
        id: SandboxId,
        _: &'a MachineSpec,
        _: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        self.take(SimStep::Boot, move || self.world.boot(id)).boxed()
    }

    fn restore<'a>(
        &'a self,
        id: SandboxId,
        _: &'a MachineSpec,
        _: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
            let restored = self.take(SimStep::Restore, || self.world.restore(id)).await?;
            restored.map_err(StartError::step("load what was saved"))
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
            self.world.inner.lock().saved.remove(&id);
            let suspended = vm.suspend(NOWHERE.as_ref()).await;
            suspended.map_err(|error| SaveError::step("stop the machine")(error.into()))?;
            let saved = SimSaved { manifest: Some(manifest.clone()), stale: false, synced: false };
            let effect = || {
                self.world.inner.lock().saved.insert(id, saved);
            };
            self.save(SimStep::WriteManifest, effect).await
        }
        .boxed()
    }

    fn saved(&self, id: SandboxId) -> BoxFuture<'_, Result<Manifest, StartError>> {
        async move {
            let look = || self.world.inner.lock().saved.get(&id).and_then(|saved| saved.manifest.clone());
            let manifest = self.world.step(SimStep::ReadManifest, look).await;
            let manifest = manifest.map_err(StartError::Unreadable)?;
            manifest.ok_or_else(|| StartError::Unreadable("there is no manifest".into()))
        }
        .boxed()
    }

    fn sync_files(&self, id: SandboxId, parts: Parts) -> BoxFuture<'_, Result<(), SaveError>> {
        let effect = move || {
            if let Some(saved) = self.world.inner.lock().saved.get_mut(&id) {
                saved.synced = parts != Parts::Disk;
            }
        };
        self.save(SimStep::SyncFiles, effect).boxed()
    }

    fn discard(&self, id: SandboxId, what: Discard) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            inner.saved.remove(&id);
            if what == Discard::Memory {
                assert!(!inner.vms.contains_key(&id), "memory is dropped while its machine lives");
                inner.memories.remove(&id);
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
            let mut inner = self.world.inner.lock();
            assert!(!inner.vms.contains_key(&id), "files are removed while their machine lives");
            inner.disks.remove(&id);
            inner.memories.remove(&id);
            inner.saved.remove(&id);
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

impl Library for SimBackend {
    fn fingerprint(&self) -> Fingerprint {
        self.world.fingerprint()
    }

    fn check_restore(&self, manifest: &Manifest) -> Result<(), Incompatible> {
        manifest.check_restore(&self.world.fingerprint())
    }

    fn admit_template(&self, _: u32) -> BoxFuture<'_, Result<(), SaveError>> {
        async move {
            self.save(SimStep::AdmitTemplate, || ()).await?;
            if self.world.is_full() {
                return Err(SaveError::NoSpace { free_mb: 0, reserve_mb: 1 });
            }
            Ok(())
        }
        .boxed()
    }

    fn begin<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<Draft, SaveError>> {
        async move {
            let exclusive = self.leases.try_hold(artifact).ok_or(SaveError::Taken)?;
            if self.world.inner.lock().artifacts.contains_key(artifact) {
                return Err(SaveError::Taken);
            }
            let effect = || {
                self.world.inner.lock().drafts.insert(artifact.clone(), Default::default());
            };
            self.save(SimStep::BeginDraft, effect).await?;
            Ok(Draft::new(exclusive))
        }
        .boxed()
    }

    fn suspend_into<'a>(
        &'a self,
        draft: &'a Draft,
        _: SandboxId,
        vm: &'a VmProcess,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            let suspended = vm.suspend(NOWHERE.as_ref()).await;
            suspended.map_err(|error| SaveError::step("stop the machine")(error.into()))?;
            if let Some(draft) = self.world.inner.lock().drafts.get_mut(draft.artifact()) {
                draft.has_state = true;
            }
            Ok(())
        }
        .boxed()
    }

    fn clone_files<'a>(
        &'a self,
        draft: &'a Draft,
        id: SandboxId,
        parts: Parts,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        let effect = move || self.world.inner.lock().clone_files(draft.artifact(), id, parts);
        self.save(SimStep::CopyInto, effect).boxed()
    }

    fn flatten<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Result<u32, SaveError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            if let Some(disk) = inner.drafts.get_mut(draft.artifact()).and_then(|draft| draft.disk.as_mut()) {
                disk.size_mb = FLAT_MB;
            }
            FLAT_MB
        };
        self.save(SimStep::Flatten, effect).boxed()
    }

    fn size_file<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        size_bytes: u64,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        let effect = move || self.world.inner.lock().draft(draft.artifact()).size_file(file, size_bytes);
        self.save(SimStep::SizeFile, effect).boxed()
    }

    fn write_extent<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        offset: u64,
        data: Bytes,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        let effect =
            move || self.world.inner.lock().draft(draft.artifact()).write_extent(file, offset, &data);
        self.save(SimStep::WriteExtent, effect).boxed()
    }

    fn read_template(&self, id: TemplateId) -> BoxFuture<'_, Result<Option<TemplateReader>, SaveError>> {
        async move {
            self.save(SimStep::ReadTemplate, || ()).await?;
            let artifact = Artifact::Template(id);
            let Some(made) = self.made(&artifact) else { return Ok(None) };
            let Some(files) = self.world.inner.lock().artifacts.get(&artifact).cloned() else {
                return Ok(None);
            };
            let contents = made.manifest.kind.files().iter().map(|&kind| (kind, content(&files, kind)));
            let contents: Vec<_> = contents.collect();
            let file = |(kind, content): &(TemplateFileKind, Vec<u8>)| {
                let bytes = content.len() as u64;
                TemplateFile { kind: (*kind).into(), size_bytes: bytes, data_bytes: bytes }
            };
            let files = contents.iter().map(file).collect();
            let manifest = (*made.manifest).clone();
            let extents = contents.into_iter().flat_map(|(kind, content)| {
                let content = Bytes::from(content);
                let starts = (0..content.len()).step_by(EXTENT_BYTES);
                let cut = move |start: usize| TemplateExtent {
                    file: kind.into(),
                    offset: start as u64,
                    data: content.slice(start..content.len().min(start + EXTENT_BYTES)),
                };
                starts.map(cut)
            });
            let extents = stream::iter(extents.collect::<Vec<_>>()).map(move |extent| {
                // It stays as long as it is read.
                let _ = &made;
                Ok(extent)
            });
            Ok(Some(TemplateReader { manifest, files, extents: extents.boxed() }))
        }
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        draft: &'a Draft,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<u64, SaveError>> {
        let effect = move || {
            let mut inner = self.world.inner.lock();
            let artifact = draft.artifact();
            let Some(mut draft) = inner.drafts.remove(artifact) else {
                panic!("there is no draft to finish")
            };
            draft.unpack();
            let is_snapshot = manifest.kind == Kind::Snapshot;
            assert_eq!((draft.has_state, draft.memory.is_some()), (is_snapshot, is_snapshot));
            let disk = draft.disk.unwrap_or_default();
            let made = SimMade { manifest: manifest.clone(), disk, memory: draft.memory };
            inner.artifacts.insert(artifact.clone(), made);
            MIB
        };
        self.save(SimStep::FinishDraft, effect).boxed()
    }

    fn discard_draft<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<(), ReleaseError>> {
        let effect = move || {
            self.world.inner.lock().drafts.remove(artifact);
        };
        self.release(SimStep::DiscardDraft, effect).boxed()
    }

    fn template(&self, id: TemplateId) -> Option<TemplateFiles> {
        let inner = self.world.inner.lock();
        let made = inner.artifacts.get(&Artifact::Template(id))?;
        Some(TemplateFiles { manifest: made.manifest.clone(), size_bytes: MIB })
    }

    fn template_ids(&self) -> Vec<TemplateId> {
        self.world.templates()
    }

    fn drop_template(&self, id: TemplateId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            let artifact = Artifact::Template(id);
            let _alone = self.leases.hold(&artifact).await;
            let boot_snapshots = format!("{artifact}.");
            let effect = || {
                let mut inner = self.world.inner.lock();
                inner.artifacts.remove(&artifact);
                inner.artifacts.retain(|other, _| match other {
                    Artifact::BootSnapshot(key) => !key.starts_with(&boot_snapshots),
                    Artifact::Template(_) => true,
                });
            };
            self.release(SimStep::DropTemplate, effect).await
        }
        .boxed()
    }

    fn drop_boot_snapshot(&self, made: Made) -> BoxFuture<'_, ()> {
        async move {
            let artifact = made.lease.artifact().clone();
            drop(made);
            let _alone = self.leases.hold(&artifact).await;
            self.world.inner.lock().artifacts.remove(&artifact);
        }
        .boxed()
    }

    fn collect(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl Inner {
    fn draft(&mut self, artifact: &Artifact) -> &mut SimDraft {
        let Some(draft) = self.drafts.get_mut(artifact) else { panic!("something is written into no draft") };
        draft
    }

    fn clone_files(&mut self, artifact: &Artifact, id: SandboxId, parts: Parts) {
        let (disk, memory) = (self.disks.get(&id).cloned(), self.memories.get(&id).cloned());
        let Some(draft) = self.drafts.get_mut(artifact) else { panic!("files are cloned into no draft") };
        draft.disk = disk;
        if parts != Parts::Disk {
            draft.memory = memory;
        }
        if parts == Parts::All {
            assert!(self.saved.get(&id).is_some_and(|saved| !saved.stale), "device state does not fit");
            draft.has_state = true;
        }
    }
}
