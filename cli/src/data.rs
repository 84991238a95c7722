//! The data folder: everything that one installation keeps, and the names of what is in it.
//!
//! ```text
//! $WRENN_DATA/
//!   dev.env      address, API key and first login; readable by root alone
//!   postgres/    the private database          agent/   credentials, volume, machines
//!   logs/        one file per process          run/     pid files and the lock of `up`
//! ```
//!
//! Sockets stand under `/run/wrenn/` instead: the path of a unix socket may have 107 bytes only. The name
//! of that folder is made from the data folder's inode, so it is the same at every start and differs
//! between two installations on one machine.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// A data folder that exists.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
    runtime: PathBuf,
}

/// Proof that this process is the only one that runs the installation of a data folder.
#[derive(Debug)]
pub struct DataLock {
    pid_file: PathBuf,
    _file: File,
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // A stale one does no harm: the lock decides, the pid is for people and for `down`.
        let _ = fs::remove_file(&self.pid_file);
    }
}

impl DataFolder {
    /// Opens the data folder and makes it if it is missing.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        make_folder(path, 0o700)?;
        let folder = Self::open(path)?;
        for part in ["logs", "run"] {
            make_folder(&folder.root.join(part), 0o700)?;
        }
        Ok(folder)
    }

    /// Opens a data folder that must exist.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let root =
            path.canonicalize().with_context(|| format!("cannot open data folder {}", path.display()))?;
        let inode = fs::metadata(&root).with_context(|| format!("cannot read {}", root.display()))?;
        let runtime = PathBuf::from(format!("/run/wrenn/up-{:x}-{:x}", inode.dev(), inode.ino()));
        Ok(Self { root, runtime })
    }

    /// The folder itself, as an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of something in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Folder of this installation's sockets; short, and not necessarily there yet.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// File that holds the pid of the process called `name` while it runs.
    pub fn pid_file(&self, name: &str) -> PathBuf {
        self.root.join("run").join(format!("{name}.pid"))
    }

    /// File to which the process called `name` logs.
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Becomes the one that runs this installation, until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// If another process has the lock; the message names it.
    pub fn lock(&self) -> anyhow::Result<DataLock> {
        match self.try_lock()? {
            Some(lock) => Ok(lock),
            None => {
                let owner = self.owner().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                bail!(
                    "another `wrenn up`{owner} runs on {}; end it first, or choose another folder with WRENN_DATA",
                    self.root.display()
                )
            }
        }
    }

    /// Like [`lock`](Self::lock), but `None` if another process has the lock.
    pub fn try_lock(&self) -> anyhow::Result<Option<DataLock>> {
        let path = self.root.join("run/up.lock");
        let open = || {
            make_folder(&self.root.join("run"), 0o700)?;
            Ok::<_, anyhow::Error>(OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?)
        };
        let file = open().with_context(|| format!("cannot open {}", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let pid_file = self.pid_file("up");
                write_atomically(&pid_file, 0o644, format!("{}\n", std::process::id()).as_bytes())?;
                Ok(Some(DataLock { pid_file, _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Pid of the process that runs this installation, if it has written one.
    pub fn owner(&self) -> Option<u32> {
        fs::read_to_string(self.pid_file("up")).ok()?.trim().parse().ok()
    }
}

/// Makes a folder and its parents; an existing one keeps its mode.
pub fn make_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot make folder {}", path.display()))
}

/// Replaces a file so that a reader sees either all of the old or all of the new.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file or a folder with all that is in it; it is fine if there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_process_runs_a_data_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let data = DataFolder::create(folder.path()).expect("data folder");
        let lock = data.lock().expect("first lock");
        let refusal = data.lock().expect_err("second lock").to_string();
        assert!(refusal.contains(&format!("pid {}", std::process::id())), "{refusal}");
        drop(lock);
        data.lock().expect("lock after the first has ended");
    }

    #[test]
    fn socket_paths_stay_short_however_deep_the_data_folder_is() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let deep = folder.path().join("d".repeat(120));
        let data = DataFolder::create(&deep).expect("data folder");
        assert!(data.runtime().as_os_str().len() < 60, "{}", data.runtime().display());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("dev.env");
        write_atomically(&path, 0o600, b"a much longer first version").expect("first");
        write_atomically(&path, 0o600, b"second").expect("second");
        assert_eq!(fs::read(&path).expect("content"), b"second");
        assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o600);
    }
}
