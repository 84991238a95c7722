//! Loads the kernel modules that came with the initramfs.

use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
};

use super::BootError;

/// Where the image step puts them, named so that the order of names is the order of loading.
const FOLDER: &str = "/modules";

/// Loads every module of the initramfs, then frees the memory that the files take.
pub(super) fn load_all() -> Result<(), BootError> {
    let folder = Path::new(FOLDER);
    let mut paths = match list(folder) {
        Ok(paths) => paths,
        // A kernel with everything built in needs none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BootError::File { what: "list", path: folder.to_owned(), source }),
    };
    paths.sort();
    for path in paths {
        load(&path).map_err(|source| BootError::File { what: "load", path, source })?;
    }
    // Only memory is lost where this fails.
    let _ = fs::remove_dir_all(folder);
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn load(path: &Path) -> io::Result<()> {
    match finit_module(File::open(path)?, <&CStr>::default(), ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
