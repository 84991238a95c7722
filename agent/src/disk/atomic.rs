//! Small files that are either old or new, never half of each.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

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

/// Replaces a file's content so that it survives a crash at any moment: a temporary file beside it is written
/// and synced, renamed over it, and the folder is synced. Blocks for the time of two syncs.
///
/// The temporary file has a fixed name (`.<name>.new`), so a crash leaves one at most, and the next write
/// replaces it. Two writers of one file at once are therefore not allowed.
///
/// # Errors
/// [`AtomicWriteError`]; then the file is as it was before.
pub fn atomic_write(path: &Path, content: &[u8]) -> Result<(), AtomicWriteError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| AtomicWriteError { action, path, source }
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed("name a file with", path)(io::ErrorKind::InvalidInput.into()));
    };
    let mut temporary_name = OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(".new");
    let temporary = folder.join(temporary_name);

    let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
    file.write_all(content).map_err(failed("write", &temporary))?;
    file.sync_all().map_err(failed("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("replace", path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_replaced_and_nothing_else_stays() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("machine.json");
        for content in ["first", "2"] {
            atomic_write(&path, content.as_bytes()).expect("write");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file() {
        let error = atomic_write(Path::new("/nonexistent/folder/file"), b"").expect_err("no folder");
        assert_eq!(error.to_string(), "create /nonexistent/folder/.file.new");
    }
}
