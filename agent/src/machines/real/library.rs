//! The steps of templates and boot snapshots on a real host.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use wrenn_base::Chain;
use wrenn_proto::{
    agent::TemplateFileKind,
    ids::{SandboxId, TemplateId},
};

use super::{
    RealBackend, Shortage,
    files::{self, DISK, STATE},
    transfer,
};
use crate::{
    host_load::MIB,
    machines::{
        backend::{ReleaseError, SaveError},
        kernel_modules::{self, ModulesError},
        leases::Artifact,
        library::{Draft, Library, Made, Parts, TemplateFiles, TemplateReader},
        manifest::{Incompatible, Kind, Manifest},
    },
    vmm::{Fingerprint, MEMORY_FILE, VmProcess, Vmm as _},
};

impl RealBackend {
    /// Gives saved memory in a draft the disk of modules that it needs, if it came from elsewhere; says in its manifest which
    /// that is.
    async fn with_modules(&self, draft: &Draft, manifest: &Manifest) -> Result<Manifest, ModulesError> {
        let folder = self.shelf.draft_path(draft.artifact());
        let modules = match (manifest.kind, manifest.modules) {
            (Kind::Base, _) => None,
            (Kind::Snapshot, Some(id)) => {
                // Without it the template's disk is of use still.
                if self.modules.has(id) {
                    self.modules.give(id, &folder).await?;
                }
                Some(id)
            }
            (Kind::Snapshot, None) => kernel_modules::of(&folder)?,
        };
        Ok(Manifest { modules, ..manifest.clone() })
    }
}

impl Library for RealBackend {
    fn fingerprint(&self) -> Fingerprint {
        self.qemu.fingerprint()
    }

    fn check_restore(&self, manifest: &Manifest) -> Result<(), Incompatible> {
        manifest.check_restore(&self.qemu.fingerprint())?;
        match manifest.modules {
            Some(id) if !self.modules.has(id) => Err(Incompatible::Modules),
            _ => Ok(()),
        }
    }

    fn admit_template(&self, growth_mb: u32) -> BoxFuture<'_, Result<(), SaveError>> {
        async move {
            let room = self.find_room(growth_mb).await;
            room.map_err(|Shortage { free_mb, reserve_mb }| SaveError::NoSpace { free_mb, reserve_mb })
        }
        .boxed()
    }

    fn begin<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<Draft, SaveError>> {
        async move {
            let draft = self.shelf.begin(artifact).await;
            draft.map_err(|error| SaveError::step("make a folder")(error.into()))?.ok_or(SaveError::Taken)
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
            let suspended = vm.suspend(&self.shelf.draft_path(draft.artifact()).join(STATE)).await;
            suspended.map_err(|error| SaveError::step("save the machine's state")(error.into()))
        }
        .boxed()
    }

    fn clone_files<'a>(
        &'a self,
        draft: &'a Draft,
        id: SandboxId,
        parts: Parts,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        let names: &[&str] = match parts {
            Parts::Disk => &[DISK],
            Parts::DiskAndMemory => &[DISK, MEMORY_FILE],
            Parts::All => &files::ALL,
        };
        async move {
            let (from, to) = (self.dir(id), self.shelf.draft_path(draft.artifact()));
            for name in names {
                let cloned = self.volume.clone_file(&from.join(name), &to.join(name)).await;
                cloned.map_err(|error| SaveError::step("clone the machine's files")(error.into()))?;
            }
            if parts != Parts::Disk {
                let passed_on = kernel_modules::pass_on(&from, &to).await;
                passed_on.map_err(|error| SaveError::step("clone the machine's files")(error.into()))?;
            }
            Ok(())
        }
        .boxed()
    }

    fn flatten<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Result<u32, SaveError>> {
        async move {
            let disk = self.shelf.draft_path(draft.artifact()).join(DISK);
            let flattened = self.volume.flatten_ext4(&disk).await;
            let flattened =
                flattened.map_err(|error| SaveError::step("make the disk small")(error.into()))?;
            Ok(u32::try_from(flattened.size_bytes.div_ceil(MIB)).unwrap_or(u32::MAX))
        }
        .boxed()
    }

    fn size_file<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        size_bytes: u64,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            let sized = transfer::size_file(&self.shelf.draft_path(draft.artifact()), file, size_bytes).await;
            sized.map_err(|error| SaveError::step("make a file of the template")(error.into()))
        }
        .boxed()
    }

    fn write_extent<'a>(
        &'a self,
        draft: &'a Draft,
        file: TemplateFileKind,
        offset: u64,
        data: Bytes,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        async move {
            let folder = self.shelf.draft_path(draft.artifact());
            let written = transfer::write_extent(&folder, file, offset, data).await;
            written.map_err(|error| SaveError::step("write the template")(error.into()))
        }
        .boxed()
    }

    fn read_template(&self, id: TemplateId) -> BoxFuture<'_, Result<Option<TemplateReader>, SaveError>> {
        async move {
            let artifact = Artifact::Template(id);
            let Some(made) = self.shelf.take(&artifact) else { return Ok(None) };
            let reader = transfer::read(self.shelf.path(&artifact), made).await;
            reader.map(Some).map_err(|error| SaveError::step("read the template")(error.into()))
        }
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        draft: &'a Draft,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<u64, SaveError>> {
        async move {
            let failed = SaveError::step("complete the template");
            let manifest = match self.with_modules(draft, manifest).await {
                Ok(manifest) => manifest,
                Err(error) => return Err(failed(error.into())),
            };
            self.shelf.finish(&self.volume, draft, &manifest).await.map_err(failed)
        }
        .boxed()
    }

    fn discard_draft<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, Result<(), ReleaseError>> {
        async move {
            let removed = files::remove_folders(vec![self.shelf.draft_path(artifact)]).await;
            removed.map_err(|error| ReleaseError::step("remove what was half-made")(error.into()))
        }
        .boxed()
    }

    fn template(&self, id: TemplateId) -> Option<TemplateFiles> {
        self.shelf.get(&Artifact::Template(id))
    }

    fn template_ids(&self) -> Vec<TemplateId> {
        let ids = self.shelf.all().into_iter().filter_map(|artifact| match artifact {
            Artifact::Template(id) => Some(id),
            Artifact::BootSnapshot(_) => None,
        });
        let mut ids: Vec<_> = ids.collect();
        ids.sort();
        ids
    }

    fn drop_template(&self, id: TemplateId) -> BoxFuture<'_, Result<(), ReleaseError>> {
        async move {
            let held = self.shelf.hold(&Artifact::Template(id)).await;
            let gone = |error: std::io::Error| ReleaseError::step("remove the template")(error.into());
            self.shelf.remove(&held).await.map_err(gone)?;
            // While the template is held nobody makes another one of it.
            for artifact in self.shelf.boot_snapshots_of(id) {
                let held = self.shelf.hold(&artifact).await;
                self.shelf.remove(&held).await.map_err(gone)?;
            }
            tracing::info!(template_id = %id, "template is removed");
            Ok(())
        }
        .boxed()
    }

    fn drop_boot_snapshot(&self, made: Made) -> BoxFuture<'_, ()> {
        async move {
            let artifact = made.lease.artifact().clone();
            drop(made);
            let held = self.shelf.hold(&artifact).await;
            if let Err(error) = self.shelf.remove(&held).await {
                tracing::warn!(%artifact, error = %Chain(&error), "not removed");
            }
        }
        .boxed()
    }

    fn collect(&self) -> BoxFuture<'_, ()> {
        async move {
            self.remove_useless().await;
            self.modules.remove_unused().await;
            self.make_room(self.disk_reserve_mb).await;
        }
        .boxed()
    }
}
