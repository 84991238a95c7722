//! The base images of a host: made elsewhere, imported once into the volume, where they can be cloned.
//!
//! ```text
//!   <images>/minimal.ext4 ─ import, grow ─▶ <volume>/images/minimal.ext4@<size>-<mtime> ─ reflink ─▶ disks
//! ```
//!
//! The copy is as large as most disks are, so that a machine's start has nothing to grow; it is sparse, and costs nothing.
//!
//! An image that is replaced is imported anew with the next start of a machine; disks that were cloned from the old one
//! keep their blocks.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use tokio::sync::Mutex;
use wrenn_base::Clock;
use wrenn_proto::DEFAULT_DISK_MB;

use crate::disk::{ImageError, Volume};

/// The images of one host.
#[derive(Debug)]
pub struct Images {
    source: PathBuf,
    volume: Volume,
    clock: Clock,
    /// Held while one is being imported; the second who wants it finds it there.
    importing: Mutex<()>,
}

/// Why there is no such image.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The host was not given one.
    #[error("there is no image {0:?}")]
    Missing(String),
    /// It could not be read or written.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It could not be imported.
    #[error("import")]
    Import(#[from] ImageError),
}

impl Images {
    /// Opens the images in the folder `source` for machines whose disks are on `volume`.
    pub fn new(source: PathBuf, volume: Volume, clock: Clock) -> Self {
        Self { source, volume, clock, importing: Mutex::new(()) }
    }

    /// Returns the kernel.
    pub fn kernel(&self) -> PathBuf {
        self.source.join("vmlinux")
    }

    /// Returns the initial RAM file system.
    pub fn initramfs(&self) -> PathBuf {
        self.source.join("initramfs.cpio")
    }

    /// Returns the name of the imported copy of an image, if the host was given such an image; it changes with the image.
    ///
    /// # Errors
    /// [`ImagesError::Missing`] if it was not.
    pub(super) fn key(&self, image: &str) -> Result<String, ImagesError> {
        let is_plain = !image.is_empty()
            && !image.starts_with('.')
            && image.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !is_plain {
            return Err(ImagesError::Missing(image.to_owned()));
        }
        let path = self.source.join(image);
        match fs::metadata(&path) {
            Ok(data) if data.is_file() => {
                Ok(format!("{image}@{}-{}.{:09}", data.len(), data.mtime(), data.mtime_nsec()))
            }
            Ok(_) => Err(ImagesError::Missing(image.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ImagesError::Missing(image.to_owned()))
            }
            Err(source) => Err(ImagesError::Io { action: "examine", path, source }),
        }
    }

    /// Returns the size of an image that the host was given, in MiB.
    ///
    /// # Errors
    /// See [`ImagesError`].
    pub(super) fn size_mb(&self, image: &str) -> Result<u32, ImagesError> {
        self.key(image)?;
        let path = self.source.join(image);
        let size = fs::metadata(&path).map(|data| data.len());
        let size = size.map_err(|source| ImagesError::Io { action: "examine", path, source })?;
        Ok(u32::try_from(size.div_ceil(1 << 20)).unwrap_or(u32::MAX))
    }

    /// Returns what the kernel and the initial RAM file system are now, in words that change when either is replaced.
    pub(super) fn boot_chain(&self) -> String {
        let identity = |path: PathBuf| match fs::metadata(path) {
            Ok(data) => format!("{}-{}.{:09}", data.len(), data.mtime(), data.mtime_nsec()),
            Err(_) => "missing".to_owned(),
        };
        format!("{} {}", identity(self.kernel()), identity(self.initramfs()))
    }

    /// Returns whether the host was given this image.
    ///
    /// # Errors
    /// [`ImagesError::Missing`] if not.
    pub fn check(&self, image: &str) -> Result<(), ImagesError> {
        self.key(image).map(drop)
    }

    /// Returns the copy of an image on the volume; imports it if it is not there yet, and drops older ones.
    ///
    /// # Errors
    /// See [`ImagesError`].
    pub async fn get(&self, image: &str) -> Result<PathBuf, ImagesError> {
        let folder = self.volume.path().join("images");
        let key = self.key(image)?;
        let copy = folder.join(&key);
        if copy.exists() {
            return Ok(copy);
        }
        let _importing = self.importing.lock().await;
        if copy.exists() {
            return Ok(copy);
        }
        let io_error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ImagesError::Io { action, path, source }
        };
        fs::create_dir_all(&folder).map_err(io_error("make folder", &folder))?;
        let begun = self.clock.now();
        // It gets its name when nothing is to be done with it any more.
        let unfinished = folder.join(format!(".{key}"));
        self.volume.import(&self.source.join(image), &unfinished).await?;
        self.volume.grow_ext4(&unfinished, DEFAULT_DISK_MB.into()).await?;
        self.volume.sync_file(&unfinished).await?;
        fs::rename(&unfinished, &copy).map_err(io_error("name", &copy))?;
        tracing::info!(image, elapsed = ?self.clock.since(begun), "image is imported");
        let old = format!("{image}@");
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Also what a crash left unfinished.
            if name.trim_start_matches('.').starts_with(&old)
                && name != key.as_str()
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "an old image could not be removed");
            }
        }
        Ok(copy)
    }

    /// Returns the names of all images that the host was given.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.source).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.ends_with(".ext4") && self.check(name).is_ok()).collect()
    }
}
