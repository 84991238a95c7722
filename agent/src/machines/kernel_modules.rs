//! The disk of kernel modules, which the capsules of a host share: one file, read by all, written by nobody.
//!
//! ```text
//!   <images>/modules.img ─ import ─▶ <volume>/modules/<id>.img ─ hard link ─▶ the folder of a machine ─┐
//!                                                                ▲                                      │ hard link
//!                                     a template from elsewhere ─┘         templates, boot snapshots ◀──┘
//! ```
//!
//! Saved memory holds what the guest's kernel has read of this disk, so it fits only that one. Links of one file keep it as long as
//! anything needs it, whatever the image is replaced by; and its pages are in the host's cache once. A disk that has no link but its
//! own is removed when the image has been replaced.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use wrenn_base::blocking;

use crate::disk::{ImageError, Volume};

/// Name of the image, and of a machine's link to its copy.
pub const MODULES_FILE: &str = "modules.img";

/// Offsets of ext4's magic number and of the identity of the filesystem, in bytes from the start of the disk: the superblock
/// starts at 1024 (Linux, `Documentation/filesystems/ext4/super.rst`: `s_magic`, `s_uuid`).
const MAGIC_AT: u64 = 1024 + 0x38;
const MAGIC: u16 = 0xEF53;
const IDENTITY_AT: u64 = 1024 + 0x68;

/// Which disk of modules it is: the UUID of its filesystem, which `scripts/image` works out of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ModulesId(u128);

/// A text that names no disk of modules.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the name of a disk of modules: 32 hexadecimal digits")]
pub struct NotAModulesId(String);

impl fmt::Display for ModulesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ModulesId {
    type Err = NotAModulesId;

    fn from_str(text: &str) -> Result<Self, NotAModulesId> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| NotAModulesId(text.to_owned()))
    }
}

impl TryFrom<String> for ModulesId {
    type Error = NotAModulesId;

    fn try_from(text: String) -> Result<Self, NotAModulesId> {
        text.parse()
    }
}

impl From<ModulesId> for String {
    fn from(id: ModulesId) -> Self {
        id.to_string()
    }
}

/// Why there is no disk of modules.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// The host was not given one.
    #[error("there is no {MODULES_FILE} in {}: run scripts/image", .0.display())]
    Missing(PathBuf),
    /// The file is something else.
    #[error("{} is not the disk of modules that scripts/image makes", .0.display())]
    NotOurs(PathBuf),
    /// The file could not be read or linked.
    #[error("{action} {}", path.display())]
    Io {
        /// Step that failed.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The image could not be imported.
    #[error("import the disk of modules")]
    Import(#[from] ImageError),
}

impl ModulesError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// The disks of modules of one host.
#[derive(Debug)]
pub(super) struct KernelModules {
    image: PathBuf,
    folder: PathBuf,
    volume: Volume,
    /// Held while one is being imported, given out or removed.
    changing: Mutex<()>,
}

impl KernelModules {
    /// Opens those on `volume`, with the image of this folder as the current one.
    pub(super) fn new(images: &Path, volume: Volume) -> Self {
        let folder = volume.path().join("modules");
        Self { image: images.join(MODULES_FILE), folder, volume, changing: Mutex::default() }
    }

    /// Tells which one new machines get. Reads a few bytes.
    ///
    /// # Errors
    /// [`ModulesError::Missing`] if the host was not given one.
    pub(super) fn current(&self) -> Result<ModulesId, ModulesError> {
        read_id(&self.image)
    }

    /// Imports the current one, unless it is there.
    ///
    /// # Errors
    /// See [`ModulesError`].
    pub(super) async fn import(&self) -> Result<ModulesId, ModulesError> {
        let id = self.current()?;
        let copy = self.path(id);
        if copy.exists() {
            return Ok(id);
        }
        let _changing = self.changing.lock().await;
        if !copy.exists() {
            fs::create_dir_all(&self.folder).map_err(ModulesError::io("make folder", &self.folder))?;
            let unfinished = self.folder.join(format!(".{id}"));
            self.volume.import(&self.image, &unfinished).await?;
            self.volume.sync_file(&unfinished).await?;
            fs::rename(&unfinished, &copy).map_err(ModulesError::io("name", &copy))?;
            tracing::info!(%id, "the disk of kernel modules is imported");
        }
        Ok(id)
    }

    /// Returns true if this one is on the host.
    pub(super) fn has(&self, id: ModulesId) -> bool {
        self.path(id).exists()
    }

    /// Gives the current one to a machine that is going to boot, in the place of what it had before.
    ///
    /// # Errors
    /// See [`ModulesError`].
    pub(super) async fn give_current(&self, folder: &Path) -> Result<(), ModulesError> {
        let id = self.import().await?;
        self.give(id, folder).await
    }

    /// Gives this one to a template that came from elsewhere.
    ///
    /// # Errors
    /// See [`ModulesError`].
    pub(super) async fn give(&self, id: ModulesId, folder: &Path) -> Result<(), ModulesError> {
        let (from, to) = (self.path(id), folder.join(MODULES_FILE));
        let failed = ModulesError::io("link", &to);
        // One without another link must not be removed at this moment.
        let _changing = self.changing.lock().await;
        blocking(move || link(&from, &to)).await.map_err(failed)
    }

    /// Removes those that no machine and no template has, but for the current one. Also what a crash left unfinished.
    pub(super) async fn remove_unused(&self) {
        let _changing = self.changing.lock().await;
        let Ok(current) = self.current() else { return };
        let current = self.path(current);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_unused = entry.metadata().is_ok_and(|data| data.nlink() == 1);
            if is_unused && path != current {
                match fs::remove_file(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "a disk of modules is removed"),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "not removed"),
                }
            }
        }
    }

    fn path(&self, id: ModulesId) -> PathBuf {
        self.folder.join(format!("{id}.img"))
    }
}

/// Passes the disk of modules of one folder on to another, if it has one: what older agents have saved has none.
///
/// # Errors
/// See [`ModulesError`].
pub(super) async fn pass_on(from: &Path, to: &Path) -> Result<(), ModulesError> {
    let (from, to) = (from.join(MODULES_FILE), to.join(MODULES_FILE));
    let failed = ModulesError::io("link", &to);
    let linked = blocking(move || if from.exists() { link(&from, &to) } else { Ok(()) });
    linked.await.map_err(failed)
}

/// Tells which disk of modules a machine or template has; none if it has none, as those of older agents.
///
/// # Errors
/// See [`ModulesError`].
pub(super) fn of(folder: &Path) -> Result<Option<ModulesId>, ModulesError> {
    match read_id(&folder.join(MODULES_FILE)) {
        Ok(id) => Ok(Some(id)),
        Err(ModulesError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Links in the place of what is there.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::hard_link(from, to)
}

fn read_id(path: &Path) -> Result<ModulesId, ModulesError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ModulesError::Missing(path.parent().unwrap_or(path).to_owned()));
        }
        opened => opened.map_err(ModulesError::io("open", path))?,
    };
    let (mut magic, mut identity) = ([0; 2], [0; 16]);
    let read = file.read_exact_at(&mut magic, MAGIC_AT);
    let read = read.and_then(|()| file.read_exact_at(&mut identity, IDENTITY_AT));
    match read {
        Ok(()) if u16::from_le_bytes(magic) == MAGIC => Ok(ModulesId(u128::from_be_bytes(identity))),
        Ok(()) => Err(ModulesError::NotOurs(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ModulesError::NotOurs(path.to_owned()))
        }
        Err(error) => Err(ModulesError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::VolumeSize;

    fn write_image(folder: &Path, identity: u8) -> ModulesId {
        let mut image = vec![0; 8192];
        image[1024 + 0x38..1024 + 0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        image[1024 + 0x68..1024 + 0x78].fill(identity);
        fs::write(folder.join(MODULES_FILE), image).unwrap();
        format!("{identity:02x}").repeat(16).parse().unwrap()
    }

    #[tokio::test]
    async fn a_disk_stays_as_long_as_something_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        fs::create_dir_all(&images).unwrap();
        fs::create_dir(dir.path().join("volume")).unwrap();
        let size = VolumeSize { max_bytes: 1 << 30, reserve_bytes: 0 };
        let volume = Volume::open_or_create(dir.path(), size).await.unwrap();
        let modules = KernelModules::new(&images, volume.clone());
        assert!(matches!(modules.current(), Err(ModulesError::Missing(_))));

        let first = write_image(&images, 1);
        let folders = ["machine", "template"].map(|name| volume.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        let [machine, template] = &folders;
        assert_eq!(of(machine).unwrap(), None);
        modules.give_current(machine).await.unwrap();
        pass_on(machine, template).await.unwrap();
        assert_eq!(of(template).unwrap(), Some(first));
        let older = volume.path().join("older");
        fs::create_dir(&older).unwrap();
        pass_on(&older, template).await.unwrap();
        assert_eq!(of(template).unwrap(), Some(first));

        let second = write_image(&images, 2);
        modules.give_current(machine).await.unwrap();
        assert_eq!(of(machine).unwrap(), Some(second));
        modules.remove_unused().await;
        assert!(modules.has(first), "a template has it");
        fs::remove_dir_all(template).unwrap();
        fs::remove_dir_all(machine).unwrap();
        modules.remove_unused().await;
        assert!(!modules.has(first) && modules.has(second), "the current one stays");
        drop((modules, volume));
        Volume::unmount(dir.path()).await.unwrap();
    }

    #[test]
    fn a_name_is_32_digits_and_nothing_else() {
        let id: ModulesId = "c2472007c14cd60270dd93b4921be29c".parse().unwrap();
        assert_eq!(id.to_string(), "c2472007c14cd60270dd93b4921be29c");
        assert_eq!(serde_json::from_str::<ModulesId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for text in ["", "../../../../../../etc/passwd0000", "C2472007C14CD60270DD93B4921BE29C", "c2"] {
            assert!(text.parse::<ModulesId>().is_err(), "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MODULES_FILE), "short").unwrap();
        assert!(matches!(of(dir.path()), Err(ModulesError::NotOurs(_))));
    }
}
