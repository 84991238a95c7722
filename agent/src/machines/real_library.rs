//! The real templates and boot snapshots: clones on the volume, and what decides which of them are of use.

use std::{path::PathBuf, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt as _};
use wrenn_proto::{
    DEFAULT_DISK_MB,
    ids::{SandboxId, TemplateId},
};

use super::{
    artifacts::{BootSnapshot, DISK, MEMORY, STATE, boot_key},
    backend::{BoxError, ReleaseError, SaveError, StartError},
    causes,
    images::ImagesError,
    leases::Artifact,
    library::{Admitted, BootPlan, Draft, Library, Made, Parts, Template, TemplateFiles},
    manifest::{Kind, Manifest},
    real::RealBackend,
    record::MachineSpec,
};
use crate::{
    host_load::MIB,
    vmm::{Fingerprint, VmProcess, Vmm as _},
};

impl RealBackend {
    /// Finds what a machine is made from, and how.
    pub(super) async fn plan(&self, spec: &MachineSpec) -> Result<Admitted, StartError> {
        let unreadable = StartError::step("read the template");
        if spec.image.is_empty() {
            let missing = || StartError::TemplateMissing { name: spec.template_id.clone() };
            let id: TemplateId = spec.template_id.parse().map_err(|_| missing())?;
            let made =
                self.artifacts.take(&Artifact::Template(id)).map_err(unreadable)?.ok_or_else(missing)?;
            if made.manifest.kind == Kind::Snapshot {
                self.check_saved(&made.manifest, spec)?;
                return Ok(Admitted { template: Template::Made(made), boot: BootPlan::Boot });
            }
            let least_mb = made.manifest.disk_size_mb.max(DEFAULT_DISK_MB);
            let boot = self.boot_plan(&id.to_string(), least_mb, spec);
            return Ok(Admitted { template: Template::Made(made), boot });
        }
        let image = self.images.get(&spec.image).await.map_err(|error| match error {
            ImagesError::Missing(name) => StartError::TemplateMissing { name },
            error => StartError::step("read the image")(error.into()),
        })?;
        let bytes = std::fs::metadata(&image).map_err(|error| unreadable(error.into()))?.len();
        let size_mb = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
        let key = image.file_name().unwrap_or_default().to_string_lossy();
        let boot = self.boot_plan(&key, size_mb, spec);
        Ok(Admitted { template: Template::Image(spec.image.clone()), boot })
    }

    fn check_saved(&self, manifest: &Manifest, spec: &MachineSpec) -> Result<(), StartError> {
        manifest.check_restore(&self.qemu.fingerprint()).map_err(StartError::Incompatible)?;
        let (vcpus, memory_mb) = (manifest.vcpus, manifest.memory_mb);
        if (spec.vcpus, spec.memory_mb) == (vcpus, memory_mb) {
            return Ok(());
        }
        let problem =
            format!("the template holds the memory of a machine with {vcpus} vCPUs and {memory_mb} MiB");
        Err(StartError::Spec(problem))
    }

    /// Decides how a machine is booted whose disk starts with `disk_size_mb`.
    fn boot_plan(&self, source: &str, disk_size_mb: u32, spec: &MachineSpec) -> BootPlan {
        // A disk does not shrink.
        if spec.disk_size_mb < disk_size_mb {
            return BootPlan::Boot;
        }
        let artifact = match boot_key(source, &self.boot_files(), spec.vcpus, spec.memory_mb) {
            Ok(key) => Artifact::BootSnapshot(key),
            Err(error) => {
                tracing::warn!(source, %error, "booting without a boot snapshot");
                return BootPlan::Boot;
            }
        };
        match self.artifacts.take(&artifact) {
            Ok(Some(made)) => match self.check_saved(&made.manifest, spec) {
                Ok(()) => BootPlan::Restore(made),
                // The collector removes it.
                Err(error) => {
                    tracing::info!(%artifact, %error, "a boot snapshot does not fit any more");
                    BootPlan::Boot
                }
            },
            Ok(None) => BootPlan::Keep { artifact, disk_size_mb },
            Err(error) => {
                tracing::warn!(%artifact, %error, "a boot snapshot cannot be read");
                BootPlan::Boot
            }
        }
    }

    fn boot_files(&self) -> [PathBuf; 2] {
        [self.images.kernel(), self.images.initramfs()]
    }

    /// Whether a machine may still be made of a boot snapshot.
    fn is_of_use(&self, snapshot: &BootSnapshot) -> bool {
        let Some(manifest) = &snapshot.manifest else { return false };
        let source = snapshot.key.split('+').next().unwrap_or_default();
        let exists = match source.parse::<TemplateId>() {
            Ok(id) => self.artifacts.template(id).is_some(),
            Err(_) => self.images.is_current(source),
        };
        let key = boot_key(source, &self.boot_files(), manifest.vcpus, manifest.memory_mb);
        exists
            && key.is_ok_and(|key| key == snapshot.key)
            && manifest.check_restore(&self.qemu.fingerprint()).is_ok()
    }

    /// Removes boot snapshots that nobody uses, the one that was not used for longest first, until so much is free.
    pub(super) async fn make_room(&self, wanted_mb: u64) {
        let mut snapshots = self.artifacts.boot_snapshots();
        snapshots.sort_by_key(|snapshot| snapshot.used);
        for snapshot in snapshots {
            if self.free_bytes() / MIB >= wanted_mb {
                return;
            }
            self.remove_boot_snapshot(snapshot.key, "making room").await;
        }
    }

    async fn remove_boot_snapshot(&self, key: String, why: &'static str) {
        let artifact = Artifact::BootSnapshot(key);
        match self.artifacts.remove_unused(&artifact).await {
            Ok(true) => tracing::info!(%artifact, why, "boot snapshot is removed"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%artifact, %error, causes = causes(&error), "boot snapshot is not removed");
            }
        }
    }

    async fn fill(&self, draft: &Draft, id: SandboxId, parts: Parts) -> Result<(), BoxError> {
        let names: &[&str] = match parts {
            Parts::Disk => &[DISK],
            Parts::DiskAndMemory => &[DISK, MEMORY],
            Parts::All => &[DISK, MEMORY, STATE],
        };
        for name in names {
            let (from, to) = (self.dir(id).join(name), self.artifacts.draft_file(draft, name));
            self.volume.clone_file(&from, &to).await?;
        }
        Ok(())
    }
}

impl Library for RealBackend {
    fn fingerprint(&self) -> Fingerprint {
        self.qemu.fingerprint()
    }

    fn admit_template(&self, growth_mb: u32) -> BoxFuture<'_, Result<(), SaveError>> {
        async move {
            let (free_mb, reserve_mb) = (self.free_mb(growth_mb.into()).await, self.disk_reserve_mb);
            if free_mb < reserve_mb.saturating_add(growth_mb.into()) {
                return Err(SaveError::NoSpace { free_mb, reserve_mb });
            }
            Ok(())
        }
        .boxed()
    }

    fn begin<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<Draft, SaveError>> {
        self.artifacts.begin(artifact).boxed()
    }

    fn suspend_into<'a>(
        &'a self,
        draft: &'a Draft,
        _: SandboxId,
        vm: &'a VmProcess,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            let suspended = vm.suspend(&self.artifacts.draft_file(draft, STATE)).await;
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
        async move { self.fill(draft, id, parts).await.map_err(SaveError::step("copy the machine")) }.boxed()
    }

    fn flatten<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Result<u32, SaveError>> {
        async move {
            let flattened = self.volume.flatten_ext4(&self.artifacts.draft_file(draft, DISK)).await;
            let flattened =
                flattened.map_err(|error| SaveError::step("make the disk small")(error.into()))?;
            Ok(u32::try_from(flattened.size_bytes.div_ceil(MIB)).unwrap_or(u32::MAX))
        }
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        draft: &'a Draft,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<u64, SaveError>> {
        async move {
            let finished = self.artifacts.finish(draft, manifest).await;
            finished.map_err(SaveError::step("write the template to the disk"))
        }
        .boxed()
    }

    fn discard_draft<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<(), ReleaseError>> {
        self.artifacts.discard_draft(artifact).boxed()
    }

    fn template(&self, id: TemplateId) -> Option<TemplateFiles> {
        self.artifacts.template(id)
    }

    fn template_ids(&self) -> Vec<TemplateId> {
        self.artifacts.template_ids()
    }

    fn drop_template(&self, id: TemplateId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            self.artifacts.remove(&Artifact::Template(id)).await?;
            for snapshot in self.artifacts.boot_snapshots() {
                if snapshot.key.split('+').next() == Some(id.to_string().as_str()) {
                    self.remove_boot_snapshot(snapshot.key, "its template is gone").await;
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn drop_boot_snapshot(&self, made: Made) -> BoxFuture<'_, ()> {
        async move {
            let artifact = made.lease.artifact().clone();
            drop(made);
            if let Err(error) = self.artifacts.remove(&artifact).await {
                tracing::warn!(%artifact, %error, causes = causes(&error), "boot snapshot is not removed");
            }
        }
        .boxed()
    }

    fn collect(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Err(error) = self.artifacts.remove_rubbish().await {
                tracing::warn!(%error, causes = causes(&error), "rubbish is left over");
            }
            for snapshot in self.artifacts.boot_snapshots() {
                if !self.is_of_use(&snapshot) {
                    self.remove_boot_snapshot(snapshot.key, "it is of no use any more").await;
                }
            }
            self.make_room(self.disk_reserve_mb).await;
        }
        .boxed()
    }
}

/// Removes what is of no use any more, from time to time, for as long as the agent runs.
pub(crate) async fn collect_regularly(backend: Arc<RealBackend>, every: std::time::Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        backend.collect().await;
    }
}
