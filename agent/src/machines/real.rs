//! The real backend: processes, disks on the volume, network slots, guests behind them.
//!
//! ```text
//!   <data>/volume/machines/<id>/     disk.ext4, memory, and of a paused one: state, manifest.json
//!   /run/wrenn/<number>/<id>/        sockets
//! ```
//!
//! What is held here (slots, processes, clients) is only a cache of what the records say; it is filled by taking and by
//! adopting, and emptied by releasing.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use wrenn_proto::{agent as wire, ids::SandboxId};

use super::{
    artifacts::{
        Artifacts, DISK, MANIFEST, MEMORY, STATE, blocking, read_manifest, remove_file, remove_folder,
        write_manifest,
    },
    backend::{
        AdoptError, Backend, BoxError, Discard, Guest, GuestError, ReleaseError, SaveError, StartError,
    },
    images::Images,
    library::{Admitted, Made, Template},
    manifest::Manifest,
    record::{MachineSpec, Resources},
};
use crate::{
    config::Config,
    disk::Volume,
    guest_client::GuestClient,
    host_load::{self, MIB},
    net::{AdoptSlotError, GUEST_MAC, Slot, SlotNumber, SlotPool},
    vmm::{
        self, BootSpec, VmProcess, Vmm as _,
        cgroup::{Cgroups, Limits},
        qemu::Qemu,
    },
};

/// Smallest and largest machine.
const VCPUS: std::ops::RangeInclusive<u32> = 1..=64;
const MEMORY_MB_MIN: u32 = 64;

/// The steps of a real host.
pub struct RealBackend {
    pub(super) qemu: Qemu,
    pub(super) volume: Volume,
    pub(super) images: Images,
    pub(super) artifacts: Artifacts,
    pool: SlotPool,
    cgroups: Cgroups,
    runtime_dir: PathBuf,
    pub(super) disk_reserve_mb: u64,
    held: Mutex<HashMap<SandboxId, Held>>,
}

/// What is at hand of one machine.
#[derive(Default)]
struct Held {
    slot: Option<Slot>,
    vm: Option<VmProcess>,
    guest: Option<Arc<GuestClient>>,
}

/// The parts of which a real backend consists.
pub struct Parts {
    /// The driver.
    pub qemu: Qemu,
    /// Where disks are.
    pub volume: Volume,
    /// Where networks come from; it keeps the slots of all known machines.
    pub pool: SlotPool,
    /// Where the processes' limits are.
    pub cgroups: Cgroups,
}

impl RealBackend {
    /// Makes the backend of a host.
    pub fn new(parts: Parts, config: &Config) -> Self {
        let Parts { qemu, volume, pool, cgroups } = parts;
        let images = Images::new(config.images_dir.clone(), volume.clone());
        let artifacts = Artifacts::new(volume.clone());
        let runtime_dir = pool.instance().runtime_dir().to_owned();
        let disk_reserve_mb = config.disk_reserve_mb;
        Self {
            qemu,
            volume,
            images,
            artifacts,
            pool,
            cgroups,
            runtime_dir,
            disk_reserve_mb,
            held: Mutex::default(),
        }
    }

    /// Returns the images of this host.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Removes folders of machines that are not known; nothing of them runs any more.
    ///
    /// # Errors
    /// If a folder cannot be listed or removed. Blocks for as long as that takes.
    pub fn remove_unknown_folders(&self, known: &BTreeSet<SandboxId>) -> io::Result<()> {
        for parent in [self.machines_dir(), self.runtime_dir.clone()] {
            let entries = match fs::read_dir(&parent) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let id = entry.file_name().to_str().and_then(|name| name.parse::<SandboxId>().ok());
                if let Some(id) = id.filter(|id| !known.contains(id)) {
                    tracing::info!(sandbox_id = %id, path = %entry.path().display(), "removing what nobody knows");
                    remove_folder(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    fn machines_dir(&self) -> PathBuf {
        self.volume.path().join("machines")
    }

    pub(super) fn dir(&self, id: SandboxId) -> PathBuf {
        self.machines_dir().join(id.to_string())
    }

    fn runtime_dir(&self, id: SandboxId) -> PathBuf {
        self.runtime_dir.join(id.to_string())
    }

    /// What can still be written; 0 if that cannot be found out.
    pub(super) fn free_bytes(&self) -> u64 {
        self.volume.free_bytes().unwrap_or_else(|error| {
            tracing::warn!(%error, causes = super::causes(&error), "free space is unknown");
            0
        })
    }

    fn make_folders(&self, id: SandboxId) -> io::Result<()> {
        fs::create_dir_all(self.dir(id))?;
        fs::create_dir_all(self.runtime_dir(id))
    }

    /// Clones files into the machine's folder, which is made.
    async fn clone_files(
        &self,
        id: SandboxId,
        files: impl IntoIterator<Item = (PathBuf, &'static str)>,
    ) -> Result<(), BoxError> {
        self.make_folders(id)?;
        for (from, name) in files {
            let to = self.dir(id).join(name);
            // Left by a restore that failed.
            remove_file(&to)?;
            self.volume.clone_file(&from, &to).await?;
        }
        Ok(())
    }

    async fn clone_disk(&self, id: SandboxId, template: &Template, size_mb: u32) -> Result<(), BoxError> {
        let from = match template {
            Template::Image(image) => self.images.get(image).await?,
            Template::Made(made) => self.artifacts.file(made, DISK),
        };
        self.clone_files(id, [(from, DISK)]).await?;
        self.volume.grow_ext4(&self.dir(id).join(DISK), size_mb.into()).await?;
        Ok(())
    }

    /// What can still be written, in MiB; makes room first if there is little.
    pub(super) async fn free_mb(&self, wanted_mb: u64) -> u64 {
        let wanted_mb = self.disk_reserve_mb.saturating_add(wanted_mb);
        if self.free_bytes() / MIB < wanted_mb {
            self.make_room(wanted_mb).await;
        }
        self.free_bytes() / MIB
    }

    async fn save_state(&self, id: SandboxId, vm: &VmProcess, manifest: &Manifest) -> Result<(), BoxError> {
        let dir = self.dir(id);
        let state = dir.join(STATE);
        // Of a save that was not kept.
        remove_file(&state)?;
        vm.suspend(&state).await?;
        self.volume.sync_file(&state).await?;
        write_manifest(&dir, manifest).await
    }

    fn boot_spec(&self, id: SandboxId, spec: &MachineSpec, slot: SlotNumber) -> Result<BootSpec, BoxError> {
        let held = self.held.lock();
        let slot = held.get(&id).and_then(|held| held.slot.as_ref()).filter(|taken| taken.number() == slot);
        let slot = slot.ok_or("its slot is not at hand")?;
        let memory_mb = u64::from(spec.memory_mb).saturating_add(self.qemu.overhead_mb());
        let cgroup = self.cgroups.create(id, Limits { memory_mb, vcpus: spec.vcpus })?;
        self.make_folders(id)?;
        let dir = self.dir(id);
        Ok(BootSpec {
            id,
            disk: dir.join(DISK),
            dir,
            runtime_dir: self.runtime_dir(id),
            kernel: self.images.kernel(),
            initramfs: self.images.initramfs(),
            vcpus: spec.vcpus,
            memory_mb: spec.memory_mb,
            netns: slot.netns().to_owned(),
            tap: slot.tap().to_owned(),
            mac: GUEST_MAC.to_owned(),
            uid: Some(slot.uid()),
            cgroup,
            kernel_args: Vec::new(),
        })
    }
}

impl Backend for RealBackend {
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<Admitted, StartError>> {
        async move {
            if !VCPUS.contains(&spec.vcpus) || spec.memory_mb < MEMORY_MB_MIN {
                let limits = format!("{}–{} vCPUs, at least {MEMORY_MB_MIN} MiB", VCPUS.start(), VCPUS.end());
                return Err(StartError::Spec(format!("a machine must have {limits}")));
            }
            let admitted = self.plan(spec).await?;
            // The guest's memory is a file of the volume, too.
            let (free_mb, reserve_mb) = (self.free_mb(spec.memory_mb.into()).await, self.disk_reserve_mb);
            if free_mb < reserve_mb.saturating_add(spec.memory_mb.into()) {
                return Err(StartError::NoSpace { free_mb, reserve_mb });
            }
            Ok(admitted)
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
        async move {
            let files = [DISK, MEMORY, STATE].map(|name| (self.artifacts.file(source, name), name));
            self.clone_files(id, files).await.map_err(StartError::step("copy what is saved"))?;
            self.artifacts.note_use(source);
            Ok(())
        }
        .boxed()
    }

    fn boot<'a>(
        &'a self,
        id: SandboxId,
        spec: &'a MachineSpec,
        slot: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>> {
        async move {
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
        let saved = self.save_state(id, vm, manifest);
        async move { saved.await.map_err(SaveError::step("save the machine")) }.boxed()
    }

    fn saved(&self, id: SandboxId) -> BoxFuture<'_, Result<Manifest, StartError>> {
        let missing = || StartError::Unreadable("its manifest is missing".into());
        async move { read_manifest(&self.dir(id)).map_err(StartError::Unreadable)?.ok_or_else(missing) }
            .boxed()
    }

    fn sync_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), SaveError>> {
        async move {
            for file in [MEMORY, DISK].map(|name| self.dir(id).join(name)) {
                let synced = self.volume.sync_file(&file).await;
                synced.map_err(|error| SaveError::step("write the machine to the disk")(error.into()))?;
            }
            Ok(())
        }
        .boxed()
    }

    fn discard(&self, id: SandboxId, what: Discard) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let files: &[&str] = match what {
            Discard::State => &[STATE, MANIFEST],
            Discard::Memory => &[STATE, MANIFEST, MEMORY],
        };
        let dir = self.dir(id);
        let removed = blocking(move || files.iter().try_for_each(|name| remove_file(&dir.join(name))));
        async move { removed.await.map_err(|error| ReleaseError::step("remove what was saved")(error.into())) }
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
                // The next life of the machine is dialled anew.
                held.guest = None;
            }
            let cgroup = self.cgroups.machine(id).remove().await;
            cgroup.map_err(|error| ReleaseError::step("remove its cgroup")(error.into()))?;
            let sockets = self.runtime_dir(id);
            let removed = blocking(move || remove_folder(&sockets)).await;
            removed.map_err(|error| ReleaseError::step("remove its sockets")(error.into()))
        }
        .boxed()
    }

    fn remove_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        let folder = self.dir(id);
        async move {
            let removed = blocking(move || remove_folder(&folder)).await;
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
                tracing::error!(sandbox_id = %id, %error, causes = super::causes(&error), "a network is left over");
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

/// Stands for the guest of a machine that has no network any more.
struct NoGuest;

impl NoGuest {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T, GuestError>> {
        async { Err(GuestError::Unreachable("the machine has no network".into())) }.boxed()
    }
}

impl Guest for NoGuest {
    fn hello(&self) -> BoxFuture<'_, Result<wrenn_proto::guest::HelloResponse, GuestError>> {
        Self::refuse()
    }

    fn init(&self, _: wrenn_proto::guest::InitRequest) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn freeze(&self, _: std::time::Duration) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn exec(
        &self,
        _: super::backend::ExecInputs,
    ) -> BoxFuture<'_, Result<super::backend::ExecEvents, GuestError>> {
        Self::refuse()
    }
}
