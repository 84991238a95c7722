//! Small things with the files of machines and templates.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use wrenn_base::blocking;

use crate::{machines::manifest::Manifest, vmm::MEMORY_FILE};

/// Name of a disk.
pub(super) const DISK: &str = "disk.ext4";
/// Name of saved device state.
pub(super) const STATE: &str = "state";
/// Name of what says what the other files are.
pub(super) const MANIFEST: &str = "manifest.json";
/// The files that a restore needs.
pub(super) const ALL: [&str; 3] = [DISK, MEMORY_FILE, STATE];

/// Removes files, as far as they are there.
pub(super) async fn remove(paths: Vec<PathBuf>) -> io::Result<()> {
    blocking(move || {
        paths.iter().try_for_each(|path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    })
    .await
}

/// Removes folders with everything in them, as far as they are there.
pub(super) async fn remove_folders(paths: Vec<PathBuf>) -> io::Result<()> {
    blocking(move || paths.iter().try_for_each(|path| remove_folder(path))).await
}

/// As [`remove_folders`], and blocks.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads the manifest in a folder.
pub(super) fn read_manifest(folder: &Path) -> io::Result<Manifest> {
    let text = fs::read(folder.join(MANIFEST))?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}
