//! Templates and boot snapshots on the volume.
//!
//! ```text
//!   <volume>/templates/<id>/       manifest.json, disk.ext4, and for a snapshot: memory, state
//!   <volume>/boot/<key>/           the same, of a machine that has just been booted
//!   …/.<name>.new/                 half-made, or half-removed
//! ```
//!
//! A folder gets its final name when everything in it is on the disk, and loses it before anything is removed from it. So
//! whatever has such a name is whole, also after a crash, and everything else is rubbish unless somebody works on it.
//!
//! The key of a boot snapshot names all that it depends on: what was booted, with which kernel and guest daemon, and the
//! size of the machine. Whatever of that is replaced leads to another key, and the old one is collected.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use wrenn_proto::ids::TemplateId;

use super::{
    backend::{BoxError, ReleaseError, SaveError},
    leases::{Artifact, Exclusive, Leases},
    library::{Draft, Made, TemplateFiles},
    manifest::Manifest,
    store::Durability,
};
use crate::disk::{Volume, atomic_write};

/// Names of the files of a machine, and of what is made of one.
pub(super) const DISK: &str = "disk.ext4";
pub(super) const MEMORY: &str = crate::vmm::MEMORY_FILE;
pub(super) const STATE: &str = "state";
pub(super) const MANIFEST: &str = "manifest.json";

/// Templates and boot snapshots of one host.
#[derive(Debug)]
pub(super) struct Artifacts {
    volume: Volume,
    leases: Leases,
}

/// A boot snapshot that is there, for whoever decides whether it is of use.
#[derive(Debug)]
pub(super) struct BootSnapshot {
    pub(super) key: String,
    pub(super) manifest: Option<Manifest>,
    /// When a machine was made of it last.
    pub(super) used: SystemTime,
}

impl Artifacts {
    pub(super) fn new(volume: Volume) -> Self {
        let artifacts = Self { volume, leases: Leases::default() };
        for folder in [artifacts.templates_dir(), artifacts.boot_dir()] {
            // Whoever begins an artifact makes it, too, and says why that fails.
            if let Err(error) = fs::create_dir_all(&folder) {
                tracing::warn!(path = %folder.display(), %error, "a folder was not made");
            }
        }
        artifacts
    }

    fn folder(&self, artifact: &Artifact) -> PathBuf {
        self.parent(artifact).join(name(artifact))
    }

    fn draft_folder(&self, artifact: &Artifact) -> PathBuf {
        self.parent(artifact).join(format!(".{}.new", name(artifact)))
    }

    fn parent(&self, artifact: &Artifact) -> PathBuf {
        match artifact {
            Artifact::Template(_) => self.templates_dir(),
            Artifact::BootSnapshot(_) => self.boot_dir(),
        }
    }

    fn templates_dir(&self) -> PathBuf {
        self.volume.path().join("templates")
    }

    fn boot_dir(&self) -> PathBuf {
        self.volume.path().join("boot")
    }

    /// Returns a file of an artifact that is leased.
    pub(super) fn file(&self, made: &Made, file: &str) -> PathBuf {
        self.folder(made.lease.artifact()).join(file)
    }

    /// Returns a file of a draft.
    pub(super) fn draft_file(&self, draft: &Draft, file: &str) -> PathBuf {
        self.draft_folder(draft.artifact()).join(file)
    }

    /// Takes an artifact to make a machine of it; none if it is not there, or is being removed.
    ///
    /// # Errors
    /// If it is there and its manifest cannot be read.
    pub(super) fn take(&self, artifact: &Artifact) -> Result<Option<Made>, BoxError> {
        let Some(lease) = self.leases.share(artifact) else { return Ok(None) };
        let manifest = read_manifest(&self.folder(artifact))?;
        Ok(manifest.map(|manifest| Made { manifest, lease }))
    }

    /// Notes that a boot snapshot was used now.
    pub(super) fn note_use(&self, made: &Made) {
        let touched =
            fs::File::open(self.file(made, MANIFEST)).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(artifact = %made.lease.artifact(), %error, "its use was not noted");
        }
    }

    /// Begins an artifact, in an empty folder.
    pub(super) async fn begin(&self, artifact: &Artifact) -> Result<Draft, SaveError> {
        let exclusive = self.leases.try_hold(artifact).ok_or(SaveError::Taken)?;
        if self.folder(artifact).exists() {
            return Err(SaveError::Taken);
        }
        let folder = self.draft_folder(artifact);
        let made = blocking(move || {
            remove_folder(&folder)?;
            fs::create_dir_all(&folder)
        });
        made.await.map_err(|error| SaveError::step("make a folder")(error.into()))?;
        Ok(Draft::new(exclusive))
    }

    /// Completes a draft; returns what its files occupy.
    pub(super) async fn finish(&self, draft: &Draft, manifest: &Manifest) -> Result<u64, BoxError> {
        let (from, to) = (self.draft_folder(draft.artifact()), self.folder(draft.artifact()));
        let mut size_bytes = 0;
        for file in [DISK, MEMORY, STATE].map(|file| from.join(file)).into_iter().filter(|file| file.exists())
        {
            self.volume.sync_file(&file).await?;
            size_bytes += self.volume.occupied_bytes(&file)?;
        }
        write_manifest(&from, manifest).await?;
        blocking(move || {
            fs::rename(&from, &to)?;
            crate::disk::sync_parent(&to, Durability::Disk)
        })
        .await?;
        Ok(size_bytes)
    }

    /// Removes what is left of a draft that nobody works on.
    pub(super) async fn discard_draft(&self, artifact: &Artifact) -> Result<(), ReleaseError> {
        let folder = self.draft_folder(artifact);
        let removed = blocking(move || remove_folder(&folder)).await;
        removed.map_err(|error| ReleaseError::step("remove a half-made template")(error.into()))
    }

    /// Returns a template that is complete.
    pub(super) fn template(&self, id: TemplateId) -> Option<TemplateFiles> {
        let folder = self.folder(&Artifact::Template(id));
        let manifest = read_manifest(&folder).ok().flatten()?;
        let files = [DISK, MEMORY, STATE].map(|file| folder.join(file));
        let size_bytes = files.iter().filter_map(|file| self.volume.occupied_bytes(file).ok()).sum();
        Some(TemplateFiles { manifest, size_bytes })
    }

    /// Returns the templates that are complete.
    pub(super) fn template_ids(&self) -> Vec<TemplateId> {
        let mut ids: Vec<_> =
            names_in(&self.templates_dir()).iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        ids
    }

    /// Returns the boot snapshots that are complete.
    pub(super) fn boot_snapshots(&self) -> Vec<BootSnapshot> {
        let folder = self.boot_dir();
        let complete = names_in(&folder).into_iter().filter(|name| !name.starts_with('.'));
        let snapshot = complete.map(|key| {
            let manifest = read_manifest(&folder.join(&key)).ok().flatten();
            let used =
                fs::metadata(folder.join(&key).join(MANIFEST)).and_then(|metadata| metadata.modified());
            BootSnapshot { manifest, used: used.unwrap_or(SystemTime::UNIX_EPOCH), key }
        });
        snapshot.collect()
    }

    /// Removes an artifact, as soon as nobody uses it; succeeds if there is none.
    pub(super) async fn remove(&self, artifact: &Artifact) -> Result<(), ReleaseError> {
        self.remove_held(self.leases.hold(artifact).await).await
    }

    /// Removes an artifact unless somebody uses it; returns whether it did.
    pub(super) async fn remove_unused(&self, artifact: &Artifact) -> Result<bool, ReleaseError> {
        match self.leases.try_hold(artifact) {
            Some(exclusive) => self.remove_held(exclusive).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn remove_held(&self, exclusive: Exclusive) -> Result<(), ReleaseError> {
        let artifact = exclusive.artifact();
        let (folder, aside) = (self.folder(artifact), self.draft_folder(artifact));
        let removed = blocking(move || {
            remove_folder(&aside)?;
            match fs::rename(&folder, &aside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => {
                    // What is half removed must not be found whole after a loss of power.
                    crate::disk::sync_parent(&folder, Durability::Disk)?;
                    remove_folder(&aside)
                }
            }
        });
        removed.await.map_err(|error| ReleaseError::step("remove files of a template")(error.into()))
    }

    /// Removes folders that are neither complete nor worked on.
    pub(super) async fn remove_rubbish(&self) -> Result<(), ReleaseError> {
        for (folder, is_template) in [(self.templates_dir(), true), (self.boot_dir(), false)] {
            for found in names_in(&folder) {
                let Some(name) = found.strip_prefix('.').and_then(|name| name.strip_suffix(".new")) else {
                    continue;
                };
                let artifact = match (is_template, name.parse()) {
                    (true, Ok(id)) => Artifact::Template(id),
                    (true, Err(_)) => continue,
                    (false, _) => Artifact::BootSnapshot(name.to_owned()),
                };
                if let Some(exclusive) = self.leases.try_hold(&artifact) {
                    tracing::info!(%artifact, "removing what was left half-made");
                    self.discard_draft(exclusive.artifact()).await?;
                }
            }
        }
        Ok(())
    }
}

/// Names what a machine is booted from, with what, and its size.
pub(super) fn boot_key(
    source: &str,
    boot_files: &[PathBuf],
    vcpus: u32,
    memory_mb: u32,
) -> io::Result<String> {
    let mut key = source.to_owned();
    for file in boot_files {
        let data = fs::metadata(file)?;
        key.push_str(&format!("+{:x}-{:x}.{:x}", data.len(), data.mtime(), data.mtime_nsec()));
    }
    key.push_str(&format!("+{vcpus}x{memory_mb}"));
    Ok(key)
}

/// Reads the manifest in a folder; none if there is none.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<Manifest>, BoxError> {
    match fs::read(folder.join(MANIFEST)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a manifest into a folder, durably.
pub(super) async fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), BoxError> {
    let path = folder.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest)?;
    blocking(move || atomic_write(&path, &text, Durability::Disk).map_err(io::Error::other)).await?;
    Ok(())
}

/// Removes a folder and what is in it; succeeds if there is none.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file; succeeds if there is none.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Does what may take a moment away from the actors' thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn name(artifact: &Artifact) -> String {
    match artifact {
        Artifact::Template(id) => id.to_string(),
        Artifact::BootSnapshot(key) => key.clone(),
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{disk::VolumeSize, machines::manifest::tests::manifest};

    /// A volume in a temporary folder; nothing is cloned in these tests.
    async fn artifacts(folder: &tempfile::TempDir) -> Option<Artifacts> {
        let size = VolumeSize { max_bytes: 512 << 20, reserve_bytes: 0 };
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        Some(Artifacts::new(Volume::open_or_create(folder.path(), size).await.unwrap()))
    }

    async fn made(artifacts: &Artifacts, artifact: &Artifact) {
        let draft = artifacts.begin(artifact).await.unwrap();
        fs::write(artifacts.draft_file(&draft, DISK), "disk").unwrap();
        artifacts.finish(&draft, &manifest()).await.unwrap();
    }

    #[tokio::test]
    async fn an_artifact_is_there_when_it_is_whole_and_goes_when_nobody_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let Some(artifacts) = artifacts(&folder).await else { return };
        let id = TemplateId::new();
        let artifact = Artifact::Template(id);
        assert!(artifacts.take(&artifact).unwrap().is_none());

        let draft = artifacts.begin(&artifact).await.unwrap();
        assert!(artifacts.template_ids().is_empty() && artifacts.template(id).is_none());
        assert!(matches!(artifacts.begin(&artifact).await, Err(SaveError::Taken)));
        artifacts.remove_rubbish().await.unwrap();
        fs::write(artifacts.draft_file(&draft, DISK), "disk").unwrap();
        artifacts.finish(&draft, &manifest()).await.unwrap();
        drop(draft);
        assert_eq!(artifacts.template_ids(), [id]);
        assert!(matches!(artifacts.begin(&artifact).await, Err(SaveError::Taken)), "it is there");

        let taken = artifacts.take(&artifact).unwrap().unwrap();
        assert!(!artifacts.remove_unused(&artifact).await.unwrap());
        let removing = artifacts.remove(&artifact);
        tokio::pin!(removing);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut removing).await.is_err());
        assert_eq!(fs::read_to_string(artifacts.file(&taken, DISK)).unwrap(), "disk");
        drop(taken);
        removing.await.unwrap();
        artifacts.remove(&artifact).await.unwrap();
        assert_eq!(names_in(&artifacts.templates_dir()), [""; 0]);
        Volume::unmount(folder.path()).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_crash_left_half_made_is_removed_and_whole_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let Some(artifacts) = artifacts(&folder).await else { return };
        let (whole, half) = (Artifact::BootSnapshot("whole".into()), Artifact::Template(TemplateId::new()));
        made(&artifacts, &whole).await;
        drop(artifacts.begin(&half).await.unwrap());
        artifacts.remove_rubbish().await.unwrap();
        assert_eq!(names_in(&artifacts.templates_dir()), [""; 0]);
        let keys: Vec<_> = artifacts.boot_snapshots().into_iter().map(|snapshot| snapshot.key).collect();
        assert_eq!(keys, ["whole"]);
        Volume::unmount(folder.path()).await.unwrap();
    }

    #[test]
    fn a_boot_snapshot_of_another_guest_or_size_has_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, "one").unwrap();
        let files = [initramfs.clone()];
        let key = boot_key("x", &files, 1, 512).unwrap();
        assert_eq!(boot_key("x", &files, 1, 512).unwrap(), key);
        assert_ne!(boot_key("x", &files, 2, 512).unwrap(), key);
        assert_ne!(boot_key("y", &files, 1, 512).unwrap(), key);
        fs::write(&initramfs, "another").unwrap();
        assert_ne!(boot_key("x", &files, 1, 512).unwrap(), key);
    }
}
