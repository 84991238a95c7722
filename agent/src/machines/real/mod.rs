//! The real backend: processes, disks on the volume, network slots, guests behind them.
//!
//! ```text
//!   <data>/volume/machines/<id>/     disk.ext4, memory; and for a paused machine: state, manifest.json
//!   <data>/volume/templates/<id>/    disk.ext4, manifest.json; and for one with memory: memory, state
//!   <data>/volume/boot/<key>/        as a template with memory
//!   <data>/volume/modules/           the disks of kernel modules, of which those folders have links
//!   /run/wrenn/<number>/<id>/        sockets
//! ```
//!
//! What is held here (slots, processes, clients) is only a cache of what the records say; it is filled by taking and by
//! adopting, and emptied by releasing.
//!
//! | file | what it is |
//! |---|---|
//! | `machine` | the steps of machines |
//! | `library` | the steps of templates and boot snapshots |
//! | `shelf` | where those are, and who uses them |
//! | `collector` | what is removed of them when |
//! | `transfer` | the files of templates on their way from and to other hosts |
//! | `files` | small things with files |

mod collector;
mod files;
mod library;
mod machine;
mod shelf;
mod transfer;

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use wrenn_base::{Chain, Clock};
use wrenn_proto::{
    DEFAULT_DISK_MB,
    guest::{
        ConnectEvent, ConnectInput, ExecEvent, ExecInput, FiguresResponse, FileEvent, FileInput,
        HelloResponse, InitRequest,
    },
    ids::SandboxId,
};

use self::{
    files::{DISK, remove_folder},
    shelf::{BootKey, Shelf},
};
use super::{
    backend::{BoxError, StartError},
    images::{Images, ImagesError},
    kernel_modules::{KernelModules, MODULES_FILE, ModulesError},
    leases::Artifact,
    library::{BootPlan, Library as _, Made, Template},
    record::MachineSpec,
};
use crate::{
    config::Config,
    disk::Volume,
    guest::{Correction, Events, Guest, GuestClient, GuestError, Inputs, UnixTime},
    host_load::MIB,
    net::{GUEST_MAC, Slot, SlotNumber, SlotPool},
    vmm::{
        BootSpec, VmProcess, Vmm as _,
        cgroup::{Cgroups, Limits},
        qemu::Qemu,
    },
};

/// The steps of a real host.
pub struct RealBackend {
    qemu: Qemu,
    volume: Volume,
    images: Images,
    modules: KernelModules,
    shelf: Shelf,
    pool: SlotPool,
    cgroups: Cgroups,
    runtime_dir: PathBuf,
    disk_reserve_mb: u64,
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
    /// Time of the agent.
    pub clock: Clock,
}

/// What of the volume is free, where more is wanted.
#[derive(Debug, Clone, Copy)]
struct Shortage {
    free_mb: u64,
    reserve_mb: u64,
}

impl RealBackend {
    /// Makes the backend of a host, and looks what templates there are. Blocks for some milliseconds.
    ///
    /// # Errors
    /// If the folders of templates cannot be made or listed.
    pub fn new(parts: Parts, config: &Config) -> io::Result<Self> {
        let Parts { qemu, volume, pool, cgroups, clock } = parts;
        let images = Images::new(config.images_dir.clone(), volume.clone(), clock.clone());
        let modules = KernelModules::new(&config.images_dir, volume.clone());
        let shelf = Shelf::open(volume.path(), clock)?;
        let runtime_dir = pool.instance().runtime_dir().to_owned();
        let disk_reserve_mb = config.disk_reserve_mb;
        let held = Mutex::default();
        Ok(Self { qemu, volume, images, modules, shelf, pool, cgroups, runtime_dir, disk_reserve_mb, held })
    }

    /// Returns the images of this host.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Imports the disk of kernel modules, unless it is there.
    ///
    /// # Errors
    /// See [`ModulesError`].
    pub async fn import_modules(&self) -> Result<(), ModulesError> {
        self.modules.import().await.map(drop)
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

    fn dir(&self, id: SandboxId) -> PathBuf {
        self.machines_dir().join(id.to_string())
    }

    fn runtime_dir(&self, id: SandboxId) -> PathBuf {
        self.runtime_dir.join(id.to_string())
    }

    /// What can still be written; 0 if that cannot be found out.
    fn free_bytes(&self) -> u64 {
        self.volume.free_bytes().unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "free space is unknown");
            0
        })
    }

    /// Checks that there is room for `growth_mb` beside the reserve; removes what is not needed if there is not.
    async fn find_room(&self, growth_mb: u32) -> Result<(), Shortage> {
        let reserve_mb = self.disk_reserve_mb;
        let wanted_mb = reserve_mb.saturating_add(growth_mb.into());
        if self.free_bytes() / MIB < wanted_mb {
            self.make_room(wanted_mb).await;
        }
        let free_mb = self.free_bytes() / MIB;
        if free_mb < wanted_mb { Err(Shortage { free_mb, reserve_mb }) } else { Ok(()) }
    }

    /// Finds what a machine is made from.
    fn template_of(&self, spec: &MachineSpec) -> Result<Template, StartError> {
        let missing = |name: &str| StartError::TemplateMissing { name: name.to_owned() };
        if spec.image.is_empty() {
            let id = spec.template_id.parse().map_err(|_| missing(&spec.template_id))?;
            let made = self.shelf.take(&Artifact::Template(id)).ok_or_else(|| missing(&spec.template_id))?;
            return Ok(Template::Made(made));
        }
        self.images.check(&spec.image).map_err(|error| match error {
            ImagesError::Missing(image) => missing(&image),
            error => StartError::step("read the image")(error.into()),
        })?;
        Ok(Template::Image(spec.image.clone()))
    }

    /// Decides how a machine of a template without memory is booted.
    async fn boot_plan(&self, spec: &MachineSpec, template: &Template) -> BootPlan {
        let (origin, least_mb) = match template {
            Template::Image(image) => match (self.images.key(image), self.images.size_mb(image)) {
                (Ok(key), Ok(size_mb)) => (key, size_mb),
                // It went this moment; the disk will say so.
                _ => return BootPlan::Boot,
            },
            Template::Made(made) => (shelf::name(made.lease.artifact()), made.manifest.disk_size_mb),
        };
        let disk_size_mb = DEFAULT_DISK_MB.max(least_mb);
        if spec.disk_size_mb < disk_size_mb {
            return BootPlan::Boot;
        }
        let key = BootKey { origin, vcpus: spec.vcpus, memory_mb: spec.memory_mb, chain: self.boot_chain() };
        let artifact = Artifact::BootSnapshot(key.to_string());
        if let Some(made) = self.shelf.take(&artifact) {
            match self.check_restore(&made.manifest) {
                Ok(()) => return BootPlan::Restore(made),
                Err(why) => {
                    tracing::info!(%artifact, %why, "removing a boot snapshot that does not fit any more")
                }
            }
            drop(made);
            self.shelf.remove_unused(&artifact).await;
        }
        BootPlan::Keep { artifact, disk_size_mb }
    }

    /// What a boot snapshot depends on beside its template and its size, as a number.
    fn boot_chain(&self) -> u64 {
        let modules = self.modules.current().map_or_else(|_| "missing".to_owned(), |id| id.to_string());
        shelf::chain(&format!("{} {modules}", self.images.boot_chain()))
    }

    async fn clone_disk(&self, id: SandboxId, template: &Template, size_mb: u32) -> Result<(), BoxError> {
        let dir = self.dir(id);
        fs::create_dir_all(&dir)?;
        let disk = dir.join(DISK);
        let image = match template {
            Template::Image(image) => self.images.get(image).await?,
            Template::Made(made) => self.shelf.path(made.lease.artifact()).join(DISK),
        };
        self.volume.clone_file(&image, &disk).await?;
        self.volume.grow_ext4(&disk, size_mb.into()).await?;
        Ok(())
    }

    async fn clone_all(&self, id: SandboxId, source: &Made) -> Result<(), BoxError> {
        let (from, to) = (self.shelf.path(source.lease.artifact()), self.dir(id));
        fs::create_dir_all(&to)?;
        for file in files::ALL {
            self.volume.clone_file(&from.join(file), &to.join(file)).await?;
        }
        if let Some(id) = source.manifest.modules {
            // Not from the template: the disk may have come to this host after it.
            self.modules.give(id, &to).await?;
        }
        Ok(())
    }

    fn boot_spec(&self, id: SandboxId, spec: &MachineSpec, slot: SlotNumber) -> Result<BootSpec, BoxError> {
        let (dir, runtime_dir) = (self.dir(id), self.runtime_dir(id));
        fs::create_dir_all(&runtime_dir)?;
        let held = self.held.lock();
        let slot = held.get(&id).and_then(|held| held.slot.as_ref()).filter(|taken| taken.number() == slot);
        let slot = slot.ok_or("its slot is not at hand")?;
        let memory_mb = u64::from(spec.memory_mb).saturating_add(self.qemu.overhead_mb());
        let cgroup = self.cgroups.create(id, Limits { memory_mb, vcpus: spec.vcpus })?;
        Ok(BootSpec {
            id,
            disk: dir.join(DISK),
            modules: dir.join(MODULES_FILE),
            dir,
            runtime_dir,
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

/// Stands for the guest of a machine that has no network any more.
struct NoGuest;

impl NoGuest {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, Result<T, GuestError>> {
        async { Err(GuestError::Unreachable("the machine has no network".into())) }.boxed()
    }
}

impl Guest for NoGuest {
    fn hello(&self) -> BoxFuture<'_, Result<HelloResponse, GuestError>> {
        Self::refuse()
    }

    fn init(&self, _: InitRequest) -> BoxFuture<'_, Result<Vec<String>, GuestError>> {
        Self::refuse()
    }

    fn freeze(&self, _: Duration) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>> {
        Self::refuse()
    }

    fn clock(&self, _: Option<Correction>) -> BoxFuture<'_, Result<UnixTime, GuestError>> {
        Self::refuse()
    }

    fn figures(&self) -> BoxFuture<'_, Result<FiguresResponse, GuestError>> {
        Self::refuse()
    }

    fn exec(&self, _: Inputs<ExecInput>) -> BoxFuture<'_, Result<Events<ExecEvent>, GuestError>> {
        Self::refuse()
    }

    fn files(&self, _: Inputs<FileInput>) -> BoxFuture<'_, Result<Events<FileEvent>, GuestError>> {
        Self::refuse()
    }

    fn connect(&self, _: Inputs<ConnectInput>) -> BoxFuture<'_, Result<Events<ConnectEvent>, GuestError>> {
        Self::refuse()
    }
}
