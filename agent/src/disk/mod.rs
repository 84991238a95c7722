//! Disk images: sparse raw files on one volume that can clone them in constant time.
//!
//! ```text
//!   data folder on XFS or btrfs            data folder on anything else
//!   <data>/volume/     a folder            <data>/volume.xfs ─ loop device ─▶ <data>/volume/  a mount
//! ```

mod atomic;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::atomic::{AtomicWriteError, atomic_write};

/// The volume that holds images, disks and memory files. Cheap to clone; all futures are `Send`.
#[derive(Debug, Clone)]
pub struct Volume {
    path: PathBuf,
    loop_mounted: bool,
}

/// Why there is no volume.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct OpenVolumeError {
    /// What was being done.
    pub action: &'static str,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Why the volume is still there.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct CloseVolumeError {
    /// What was being done.
    pub action: &'static str,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Why a file was not cloned, imported or grown; no half-made file is left.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct ImageError {
    /// What was being done.
    pub action: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl Volume {
    /// Opens the volume of a data folder, or makes it. `size_bytes` is the size of a loopback volume that must
    /// be made; it is sparse, and takes what is used.
    ///
    /// # Errors
    /// [`OpenVolumeError`]; a second call continues where the first one failed.
    pub async fn open_or_create(data_dir: &Path, size_bytes: u64) -> Result<Self, OpenVolumeError> {
        let _ = (data_dir, size_bytes);
        todo!()
    }

    /// Folder in which the volume's files live.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the volume is a loopback file system of ours.
    pub fn is_loop_mounted(&self) -> bool {
        self.loop_mounted
    }

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// [`ImageError`] if the volume cannot be asked.
    pub fn free_bytes(&self) -> Result<u64, ImageError> {
        todo!()
    }

    /// Clones a file of the volume in constant time. `to` must not exist.
    ///
    /// # Errors
    /// [`ImageError`]; then `to` does not exist.
    pub async fn clone_file(&self, from: &Path, to: &Path) -> Result<(), ImageError> {
        let _ = (from, to);
        todo!()
    }

    /// Copies a file from anywhere to `to` on the volume, sparse; `to` appears only when it is complete, and
    /// replaces what was there.
    ///
    /// # Errors
    /// [`ImageError`]; then `to` is as before.
    pub async fn import(&self, from: &Path, to: &Path) -> Result<(), ImageError> {
        let _ = (from, to);
        todo!()
    }

    /// Grows an ext4 image that nobody uses to `size_mb` MiB; one that is as large already stays as it is.
    ///
    /// # Errors
    /// [`ImageError`]; the image may be larger then, but is still sound.
    pub async fn grow_ext4(&self, image: &Path, size_mb: u64) -> Result<(), ImageError> {
        let _ = (image, size_mb);
        todo!()
    }

    /// Unmounts the volume of a data folder and detaches its loop device; its files stay. Idempotent, and
    /// needs no open volume, so that `wrenn down` can do it.
    ///
    /// # Errors
    /// [`CloseVolumeError`], as long as something uses the volume.
    pub async fn unmount(data_dir: &Path) -> Result<(), CloseVolumeError> {
        let _ = data_dir;
        todo!()
    }
}
