//! Where records are kept, and how they survive a crash.
//!
//! ```text
//!  machines/<id>.json        one file per machine, replaced atomically: written before anything is
//!                            done to the machine, and again with what came of it
//! ```
//!
//! Whoever reads a record after a crash sees either the state before a step or the state after it, never half
//! of one. What lies between (a process that was started and not yet written down) is found by its name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use wrenn_proto::ids::SandboxId;

use super::record::Record;
pub use crate::disk::Durability;
use crate::disk::{AtomicWriteError, atomic_write, sync_parent};

/// Why a file of the agent's own state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error("{path} does not hold a valid record")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl StateError {
    /// The writing task itself did not come to its end.
    pub(crate) fn interrupted(error: tokio::task::JoinError) -> Self {
        Self::Io { operation: "finish writing", path: PathBuf::new(), source: io::Error::other(error) }
    }

    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }
}

impl From<AtomicWriteError> for StateError {
    fn from(AtomicWriteError { action, path, source }: AtomicWriteError) -> Self {
        Self::Io { operation: action, path, source }
    }
}

/// Removes `path` if it exists.
///
/// # Errors
/// If it exists and cannot be removed.
pub fn remove_durably(path: &Path, durability: Durability) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", path)(error)),
        _ => sync_parent(path, durability).map_err(StateError::io("sync the folder of", path)),
    }
}

/// The folder of all records of this host.
#[derive(Debug, Clone)]
pub struct RecordStore {
    dir: PathBuf,
    durability: Durability,
}

impl RecordStore {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(dir: PathBuf, durability: Durability) -> Result<Self, StateError> {
        fs::create_dir_all(&dir).map_err(StateError::io("make folder", &dir))?;
        Ok(Self { dir, durability })
    }

    fn path(&self, id: SandboxId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// Writes a record down, in place of the one before. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// See [`atomic_write`].
    pub fn save(&self, record: &Record) -> Result<(), StateError> {
        self.write(record, self.durability)
    }

    /// As [`save`](Self::save), but for a machine that has no disk yet, or whose disk goes, without waiting for the disk:
    /// what it names (processes, networks) is gone after a loss of power. The record of any other machine must be whole
    /// whatever happens, as its disk belongs to nobody without it.
    ///
    /// # Errors
    /// See [`atomic_write`].
    pub fn save_step(&self, record: &Record) -> Result<(), StateError> {
        self.write(record, if record.keeps_disk() { self.durability } else { Durability::Process })
    }

    fn write(&self, record: &Record, durability: Durability) -> Result<(), StateError> {
        let path = self.path(record.id);
        let text = serde_json::to_vec_pretty(record)
            .map_err(|source| StateError::Corrupt { path: path.clone(), source })?;
        Ok(atomic_write(&path, &text, durability)?)
    }

    /// Reads the record of one machine; none if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&self, id: SandboxId) -> Result<Option<Record>, StateError> {
        let path = self.path(id);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| StateError::Corrupt { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &path)(error)),
        }
    }

    /// Forgets a machine.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn remove(&self, id: SandboxId) -> Result<(), StateError> {
        remove_durably(&self.path(id), self.durability)
    }

    /// Returns the machines whose records were moved aside because they cannot be understood, perhaps only by this version.
    /// Nobody works on them, and nothing of them may be removed.
    pub fn set_aside(&self) -> Vec<SandboxId> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".json.corrupt")?.parse().ok()).collect()
    }

    /// Reads all records, and removes what an interrupted write left behind.
    ///
    /// A record that cannot be understood is moved aside (`.corrupt`) and logged: one bad file must not keep the
    /// whole host away.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn load_all(&self) -> Result<Vec<Record>, StateError> {
        let entries = fs::read_dir(&self.dir).map_err(StateError::io("list", &self.dir))?;
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(StateError::io("list", &self.dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(".new") {
                remove_durably(&path, Durability::Process)?;
            } else if let Some(id) = name.strip_suffix(".json").and_then(|id| id.parse().ok()) {
                match self.load(id) {
                    Ok(Some(record)) => records.push(record),
                    Ok(None) => {}
                    Err(StateError::Corrupt { source, .. }) => {
                        tracing::error!(sandbox_id = %id, error = %source, "moving an unreadable record aside");
                        let aside = path.with_extension("json.corrupt");
                        fs::rename(&path, &aside).map_err(StateError::io("move aside", &path))?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        records.sort_by_key(|record| record.id);
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::record::tests::{every_record, spec};

    #[test]
    fn what_is_saved_is_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = RecordStore::open(dir.path().join("machines"), Durability::Disk).unwrap();
        let mut records = every_record();
        for record in &records {
            store.save(record).unwrap();
            assert_eq!(store.load(record.id).unwrap().as_ref(), Some(record));
        }
        records.sort_by_key(|record| record.id);
        assert_eq!(store.load_all().unwrap(), records);
        for record in &records {
            store.remove(record.id).unwrap();
            store.remove(record.id).unwrap();
            assert_eq!(store.load(record.id).unwrap(), None);
        }
        assert_eq!(fs::read_dir(dir.path().join("machines")).unwrap().count(), 0);
    }

    #[test]
    fn an_interrupted_write_and_a_broken_record_harm_no_other_machine() {
        let dir = tempfile::tempdir().unwrap();
        let store = RecordStore::open(dir.path().to_owned(), Durability::Process).unwrap();
        let good = Record::new(SandboxId::new(), 7, spec());
        store.save(&good).unwrap();
        let bad = SandboxId::new();
        fs::write(store.path(bad), "{\"id\":").unwrap();
        fs::write(store.path(bad).with_extension("json.new"), "half").unwrap();
        assert_eq!(store.load_all().unwrap(), [good]);
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.iter().any(|name| name.to_string_lossy() == format!("{bad}.json.corrupt")));
        assert_eq!(store.set_aside(), [bad]);
    }

    #[test]
    fn records_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = RecordStore::open(dir.path().to_owned(), Durability::Process).unwrap();
        let record = Record::new(SandboxId::new(), 7, spec());
        store.save(&record).unwrap();
        let mode = fs::metadata(store.path(record.id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
