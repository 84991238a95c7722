//! Where templates and boot snapshots are: folders on the volume, under their final names only when they are complete.
//!
//! ```text
//!   templates/<id>/            boot/<key>/             complete
//!   templates/.<id>.new/       boot/.<key>.new/        in the making, or left by a crash
//!   templates/.<id>.old/       boot/.<key>.old/        on the way out, or left by a crash
//! ```

use std::{
    collections::BTreeMap,
    fmt, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    str::FromStr,
    time::SystemTime,
};

use parking_lot::Mutex;
use wrenn_base::{Clock, blocking};
use wrenn_proto::ids::TemplateId;

use super::files::{self, MANIFEST, read_manifest, remove_folder};
use crate::{
    disk::{Durability, Volume, atomic_write},
    machines::{
        backend::BoxError,
        leases::{Artifact, Exclusive, Leases},
        library::{Draft, Made, TemplateFiles},
        manifest::{FORMAT, GUEST_PROTOCOL, Kind, Manifest},
    },
};

/// What a boot snapshot is of. Its text is the name of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootKey {
    /// The template, or the name of the imported image, which changes with it.
    pub(super) origin: String,
    pub(super) vcpus: u32,
    pub(super) memory_mb: u32,
    /// What has booted it: see [`chain`].
    pub(super) chain: u64,
}

impl fmt::Display for BootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, vcpus, memory_mb, chain } = self;
        write!(f, "{origin}.{vcpus}x{memory_mb}.{chain:016x}")
    }
}

/// A text that does not name a boot snapshot.
#[derive(Debug)]
pub(super) struct NotABootKey;

impl FromStr for BootKey {
    type Err = NotABootKey;

    fn from_str(text: &str) -> Result<Self, NotABootKey> {
        let parse = || {
            let (rest, chain) = text.rsplit_once('.')?;
            let (origin, size) = rest.rsplit_once('.')?;
            let (vcpus, memory_mb) = size.split_once('x')?;
            Some(Self {
                origin: origin.to_owned(),
                vcpus: vcpus.parse().ok()?,
                memory_mb: memory_mb.parse().ok()?,
                chain: u64::from_str_radix(chain, 16).ok()?,
            })
        };
        parse().ok_or(NotABootKey)
    }
}

/// Makes a number of the kernel and initial RAM file system of a host, and of the agent's own ways with them.
pub(super) fn chain(kernel_and_initramfs: &str) -> u64 {
    // FNV-1a: the same in every build, as the standard library's hash is not.
    let text = format!("{kernel_and_initramfs} {FORMAT} {GUEST_PROTOCOL}");
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Returns the name of an artifact's folder.
pub(super) fn name(artifact: &Artifact) -> String {
    match artifact {
        Artifact::Template(id) => id.to_string(),
        Artifact::BootSnapshot(key) => key.clone(),
    }
}

/// The templates and boot snapshots of a host.
#[derive(Debug)]
pub(super) struct Shelf {
    templates: PathBuf,
    boot: PathBuf,
    clock: Clock,
    leases: Leases,
    /// What is complete.
    index: Mutex<BTreeMap<Artifact, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    files: TemplateFiles,
    /// When somebody made something of it last; that is when its manifest was touched last, too.
    used_at: SystemTime,
}

impl Shelf {
    /// Opens the shelf on a volume. Blocks for some milliseconds.
    pub(super) fn open(volume: &Path, clock: Clock) -> io::Result<Self> {
        let shelf = Self {
            templates: volume.join("templates"),
            boot: volume.join("boot"),
            clock,
            leases: Leases::default(),
            index: Mutex::default(),
        };
        for folder in [&shelf.templates, &shelf.boot] {
            fs::create_dir_all(folder)?;
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let Some(artifact) = shelf.artifact(folder, file_name) else { continue };
                match read_files(&path) {
                    Ok(files) => shelf.insert(artifact, files, used_at(&path)),
                    Err(error) => tracing::error!(%artifact, %error, "a manifest cannot be read"),
                }
            }
        }
        Ok(shelf)
    }

    /// Returns the artifact whose complete folder has this name.
    fn artifact(&self, folder: &Path, file_name: &str) -> Option<Artifact> {
        if folder == self.templates {
            file_name.parse().ok().map(Artifact::Template)
        } else {
            let is_key = !file_name.starts_with('.') && file_name.parse::<BootKey>().is_ok();
            is_key.then(|| Artifact::BootSnapshot(file_name.to_owned()))
        }
    }

    fn parent(&self, artifact: &Artifact) -> &Path {
        match artifact {
            Artifact::Template(_) => &self.templates,
            Artifact::BootSnapshot(_) => &self.boot,
        }
    }

    /// Where it is when it is complete.
    pub(super) fn path(&self, artifact: &Artifact) -> PathBuf {
        self.parent(artifact).join(name(artifact))
    }

    /// Where it is while it is being made.
    pub(super) fn draft_path(&self, artifact: &Artifact) -> PathBuf {
        self.parent(artifact).join(format!(".{}.new", name(artifact)))
    }

    fn old_path(&self, artifact: &Artifact) -> PathBuf {
        self.parent(artifact).join(format!(".{}.old", name(artifact)))
    }

    fn insert(&self, artifact: Artifact, files: TemplateFiles, used_at: SystemTime) {
        self.index.lock().insert(artifact, Entry { files, used_at });
    }

    /// Returns what is known of a complete artifact.
    pub(super) fn get(&self, artifact: &Artifact) -> Option<TemplateFiles> {
        self.index.lock().get(artifact).map(|entry| entry.files.clone())
    }

    /// Returns all complete artifacts, the one that was not used for the longest time first.
    pub(super) fn all(&self) -> Vec<Artifact> {
        let mut all: Vec<_> =
            self.index.lock().iter().map(|(artifact, entry)| (entry.used_at, artifact.clone())).collect();
        all.sort();
        all.into_iter().map(|(_, artifact)| artifact).collect()
    }

    /// Takes a complete artifact into use.
    pub(super) fn take(&self, artifact: &Artifact) -> Option<Made> {
        let lease = self.leases.share(artifact)?;
        let mut index = self.index.lock();
        let entry = index.get_mut(artifact)?;
        entry.used_at = self.clock.wall();
        if let Artifact::BootSnapshot(_) = artifact {
            let manifest = self.path(artifact).join(MANIFEST);
            // It decides only which one goes first when room is needed.
            if let Err(error) = File::open(manifest).and_then(|file| file.set_modified(entry.used_at)) {
                tracing::debug!(%artifact, %error, "its use was not noted");
            }
        }
        Some(Made { manifest: Box::new(entry.files.manifest.clone()), lease })
    }

    /// Begins an artifact with an empty folder; none if it is there, or somebody has to do with it.
    pub(super) async fn begin(&self, artifact: &Artifact) -> io::Result<Option<Draft>> {
        let Some(exclusive) = self.leases.try_hold(artifact) else { return Ok(None) };
        if self.index.lock().contains_key(artifact) {
            return Ok(None);
        }
        let draft = self.draft_path(artifact);
        blocking(move || {
            remove_folder(&draft)?;
            fs::create_dir(&draft)
        })
        .await?;
        Ok(Some(Draft::new(exclusive)))
    }

    /// Completes an artifact: everything is on the disk when it gets its name. Returns what its files occupy.
    pub(super) async fn finish(
        &self,
        volume: &Volume,
        draft: &Draft,
        manifest: &Manifest,
    ) -> Result<u64, BoxError> {
        let artifact = draft.artifact();
        let (from, to) = (self.draft_path(artifact), self.path(artifact));
        for file in files_of(manifest.kind) {
            volume.sync_file(&from.join(file)).await?;
        }
        let (text, path) = (serde_json::to_vec_pretty(manifest)?, from.join(MANIFEST));
        let complete = move || {
            atomic_write(&path, &text, Durability::Disk).map_err(io::Error::other)?;
            // A crash may have left a folder with a manifest that nobody could read.
            remove_folder(&to)?;
            fs::rename(&from, &to)?;
            let parent = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
            File::open(parent)?.sync_all()?;
            read_files(&to)
        };
        let files = blocking(complete).await?;
        let size_bytes = files.size_bytes;
        self.insert(artifact.clone(), files, self.clock.wall());
        Ok(size_bytes)
    }

    /// Waits until nobody uses an artifact, and keeps others out.
    pub(super) async fn hold(&self, artifact: &Artifact) -> Exclusive {
        self.leases.hold(artifact).await
    }

    /// Removes an artifact that nobody uses; leaves one in use alone.
    pub(super) async fn remove_unused(&self, artifact: &Artifact) {
        let Some(held) = self.leases.try_hold(artifact) else { return };
        if let Err(error) = self.remove(&held).await {
            tracing::warn!(%artifact, %error, "not removed");
        }
    }

    /// Removes everything of an artifact. From the first step on it is not complete any more, also after a crash.
    pub(super) async fn remove(&self, held: &Exclusive) -> io::Result<()> {
        let artifact = held.artifact();
        self.index.lock().remove(artifact);
        let (path, old, draft) = (self.path(artifact), self.old_path(artifact), self.draft_path(artifact));
        blocking(move || {
            remove_folder(&old)?;
            match fs::rename(&path, &old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            remove_folder(&old)?;
            remove_folder(&draft)
        })
        .await
    }

    /// Removes what crashes have left: folders that nobody works on, and that are not complete.
    pub(super) async fn remove_half_made(&self) {
        for folder in [&self.templates, &self.boot] {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            for file_name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
                let half = file_name.strip_prefix('.');
                let half = half.and_then(|rest| rest.strip_suffix(".new").or(rest.strip_suffix(".old")));
                let Some(artifact) = half.and_then(|name| self.artifact(folder, name)) else { continue };
                let Some(_held) = self.leases.try_hold(&artifact) else { continue };
                tracing::info!(%artifact, "removing what was left half-made");
                if let Err(error) = files::remove_folders(vec![folder.join(&file_name)]).await {
                    tracing::warn!(%artifact, %error, "not removed");
                }
            }
        }
    }

    /// Returns the boot snapshots of a template.
    pub(super) fn boot_snapshots_of(&self, template: TemplateId) -> Vec<Artifact> {
        let origin = template.to_string();
        let is_of = |artifact: &Artifact| match artifact {
            Artifact::BootSnapshot(key) => key.parse::<BootKey>().is_ok_and(|key| key.origin == origin),
            Artifact::Template(_) => false,
        };
        self.index.lock().keys().filter(|artifact| is_of(artifact)).cloned().collect()
    }
}

fn files_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Base => &[files::DISK],
        Kind::Snapshot => &files::ALL,
    }
}

/// Reads the manifest of a complete artifact, and what its files occupy.
fn read_files(folder: &Path) -> io::Result<TemplateFiles> {
    use std::os::unix::fs::MetadataExt as _;
    let manifest = read_manifest(folder)?;
    let mut size_bytes = 0;
    for file in files_of(manifest.kind) {
        size_bytes += fs::metadata(folder.join(file))?.blocks() * 512;
    }
    Ok(TemplateFiles { manifest, size_bytes })
}

fn used_at(folder: &Path) -> SystemTime {
    fs::metadata(folder.join(MANIFEST)).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::manifest::tests::manifest;

    async fn volume() -> (tempfile::TempDir, Volume) {
        let dir = tempfile::tempdir().unwrap();
        let size = crate::disk::VolumeSize { max_bytes: 1 << 30, reserve_bytes: 0 };
        fs::create_dir(dir.path().join("volume")).unwrap();
        let volume = Volume::open_or_create(dir.path(), size).await.unwrap();
        (dir, volume)
    }

    async fn make(shelf: &Shelf, volume: &Volume, artifact: &Artifact) {
        let draft = shelf.begin(artifact).await.unwrap().expect("nobody else makes it");
        for file in files::ALL {
            fs::write(shelf.draft_path(artifact).join(file), "content").unwrap();
        }
        assert!(shelf.begin(artifact).await.unwrap().is_none(), "two make one");
        shelf.finish(volume, &draft, &manifest()).await.unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_complete_is_found_again_and_what_is_half_made_is_removed() {
        let (dir, volume) = volume().await;
        let shelf = Shelf::open(volume.path(), Clock::manual().0).unwrap();
        let (id, other) = (TemplateId::new(), TemplateId::new());
        let artifact = Artifact::Template(id);
        make(&shelf, &volume, &artifact).await;
        let draft = shelf.begin(&Artifact::Template(other)).await.unwrap().unwrap();
        shelf.remove_half_made().await;
        assert_eq!(names(&shelf.templates).len(), 2, "one that is being made is left alone");
        drop(draft);

        let shelf = Shelf::open(volume.path(), Clock::manual().0).unwrap();
        assert_eq!(shelf.all(), std::slice::from_ref(&artifact));
        assert_eq!(shelf.get(&artifact).unwrap().manifest, manifest());
        shelf.remove_half_made().await;
        assert_eq!(names(&shelf.templates), [id.to_string()]);
        let used = shelf.take(&artifact).unwrap();
        shelf.remove_unused(&artifact).await;
        assert!(shelf.get(&artifact).is_some(), "one in use is left alone");
        drop(used);
        shelf.remove_unused(&artifact).await;
        assert!(shelf.take(&artifact).is_none() && names(&shelf.templates).is_empty());
        drop(volume);
        Volume::unmount(dir.path()).await.unwrap();
    }

    #[test]
    fn a_boot_key_is_read_from_the_name_of_its_folder() {
        let key = BootKey { origin: "a.ext4@1-2.3".into(), vcpus: 2, memory_mb: 512, chain: chain("x y") };
        assert_eq!(key.to_string().parse::<BootKey>().ok(), Some(key));
        for text in ["", "a", "a.1x2", "a.1x2.xyz", "a.12.0", ".1x2.0.new"] {
            assert!(text.parse::<BootKey>().is_err(), "{text}");
        }
        assert_ne!(chain("x y"), chain("x z"));
    }
}
