//! Small files that are either old or new, never half of each.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Whether a write has to survive the loss of power, or only the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Wait until the disk has it.
    Disk,
    /// The kernel's word is enough: for what means nothing after a loss of power, and for simulated machines.
    Process,
}

/// Why a file was not written; it is as it was before.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct AtomicWriteError {
    /// What was being done.
    pub action: &'static str,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Replaces a file's content in one step: a temporary file beside it is written and renamed over it. With
/// [`Durability::Disk`] that holds over a loss of power as well, and blocks for the time of two syncs.
///
/// The file can be read by its owner only. The temporary file has a fixed name (`<name>.new`), so a crash leaves one
/// at most, and the next write replaces it. Two writers of one file at once are therefore not allowed.
///
/// # Errors
/// [`AtomicWriteError`]; then the file is as it was before.
pub fn atomic_write(path: &Path, content: &[u8], durability: Durability) -> Result<(), AtomicWriteError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| AtomicWriteError { action, path, source }
    };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);

    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary).map_err(failed("create", &temporary))?;
    file.write_all(content).map_err(failed("write", &temporary))?;
    if durability == Durability::Disk {
        file.sync_data().map_err(failed("sync", &temporary))?;
    }
    fs::rename(&temporary, path).map_err(failed("replace", path))?;
    sync_parent(path, durability).map_err(failed("sync the folder of", path))
}

/// Makes the coming or going of a file durable, if that is asked for.
pub(crate) fn sync_parent(path: &Path, durability: Durability) -> io::Result<()> {
    match path.parent() {
        Some(folder) if durability == Durability::Disk => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn content_is_replaced_and_nothing_else_stays() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("machine.json");
        for content in ["first", "2"] {
            atomic_write(&path, content.as_bytes(), Durability::Disk).expect("write");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
            assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file() {
        let error = atomic_write(Path::new("/nonexistent/folder/file"), b"", Durability::Process);
        let error = error.expect_err("no folder");
        assert_eq!(error.to_string(), "create /nonexistent/folder/file.new");
    }
}
