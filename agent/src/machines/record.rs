//! What is remembered of a machine, and how it survives a crash.
//!
//! ```text
//!  machines/<id>.json        one file per machine, replaced atomically: written before anything is
//!                            done to the machine, and again with what came of it
//! ```
//!
//! Whoever reads a record after a crash sees either the state before a step or the state after it, never half
//! of one. What lies between (a process that was started and not yet written down) is found by its name.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use wrenn_proto::{agent as wire, ids::SandboxId};

pub use crate::disk::Durability;
use crate::{
    disk::{AtomicWriteError, atomic_write, sync_parent},
    net::SlotNumber,
    vmm::VmRecord,
};

/// What a machine is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Template it comes from, for logs.
    pub template_id: String,
    /// File name of the template's image on this host.
    pub image: String,
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Size of its disk in MiB.
    pub disk_size_mb: u32,
    /// Host name inside.
    pub hostname: String,
    /// User that commands run as when they name none; empty means root.
    pub default_user: String,
    /// Environment of every command, below its own.
    pub default_env: BTreeMap<String, String>,
}

impl From<wire::StartMachine> for MachineSpec {
    fn from(start: wire::StartMachine) -> Self {
        Self {
            template_id: start.template_id,
            image: start.image,
            vcpus: start.vcpus,
            memory_mb: start.memory_mb,
            disk_size_mb: start.disk_size_mb,
            hostname: start.hostname,
            default_user: start.default_user,
            default_env: start.default_env.into_iter().collect(),
        }
    }
}

/// Where a machine is in its life, as far as a restarted agent has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It is being started. After a crash of the agent: undone.
    Starting,
    /// It runs. After a crash: adopted.
    Running,
    /// Its virtual machine is gone and what it used is being released. After a crash: released to the end.
    Releasing {
        /// Why it is gone.
        reason: String,
    },
    /// Its virtual machine is gone and nothing of it is left but this record.
    Exited {
        /// Why it is gone.
        reason: String,
    },
    /// Everything of it is being removed. After a crash: removed to the end.
    Destroying,
}

/// What a machine holds on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Number of its network slot.
    pub slot: Option<SlotNumber>,
    /// Its VMM process.
    pub vm: Option<VmRecord>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The machine runs.
    Started {
        /// Address of the guest inside its namespace.
        guest_ip: String,
        /// Address under which the host reaches the machine's namespace.
        host_ip: String,
        /// From the command to a guest that is ready, in milliseconds.
        boot_ms: u64,
    },
    /// Nothing of the machine is left.
    Destroyed,
    /// It failed.
    Failed(CommandError),
}

/// Why a command failed, in the words of the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// What is true of the machine after the failure.
    pub state: MachineState,
}

/// Kinds of failed commands, as in `agent.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A higher generation was accepted before; nothing was done.
    StaleGeneration,
    /// The machine is in a state in which this cannot be done.
    InvalidState,
    /// This host does not have the template.
    TemplateMissing,
    /// There is not enough room on the volume.
    NoSpace,
    /// The virtual machine or its guest did not come up.
    BootFailed,
    /// Anything else.
    Internal,
}

/// States of a machine, as in `agent.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is gone, or on its way out.
    Exited,
}

impl From<FailureKind> for wire::FailureKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::StaleGeneration => Self::StaleGeneration,
            FailureKind::InvalidState => Self::InvalidState,
            FailureKind::TemplateMissing => Self::TemplateMissing,
            FailureKind::NoSpace => Self::NoSpace,
            FailureKind::BootFailed => Self::BootFailed,
            FailureKind::Internal => Self::Internal,
        }
    }
}

impl From<MachineState> for wire::MachineState {
    fn from(state: MachineState) -> Self {
        match state {
            MachineState::Starting => Self::Starting,
            MachineState::Running => Self::Running,
            MachineState::Exited => Self::Exited,
        }
    }
}

impl Outcome {
    /// Returns the frame that tells the control plane.
    pub fn to_wire(&self, id: SandboxId, generation: u64) -> wire::CommandResult {
        use wire::command_result::Outcome as Wire;
        let outcome = match self.clone() {
            Self::Started { guest_ip, host_ip, boot_ms } => {
                Wire::Started(wire::Started { guest_ip, host_ip, boot_ms, restored: false })
            }
            Self::Destroyed => Wire::Destroyed(wire::Destroyed {}),
            Self::Failed(CommandError { kind, message, state }) => Wire::Failed(wire::CommandFailed {
                kind: wire::FailureKind::from(kind).into(),
                message,
                state: wire::MachineState::from(state).into(),
            }),
        };
        wire::CommandResult { sandbox_id: id.to_string(), generation, outcome: Some(outcome) }
    }
}

/// Everything that is remembered of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The sandbox it belongs to.
    pub id: SandboxId,
    /// Highest generation accepted.
    pub generation: u64,
    /// Where it is in its life.
    #[serde(flatten)]
    pub phase: Phase,
    /// What it was started with.
    pub spec: MachineSpec,
    /// What it holds.
    pub resources: Resources,
    /// What came of the command of `generation`; none while it is being carried out.
    pub outcome: Option<Outcome>,
}

impl Record {
    /// Returns what the control plane is told of this machine.
    ///
    /// `busy` in the report says that somebody works on the machine.
    pub fn report(&self, busy: bool) -> wire::MachineReport {
        let (state, reason) = match &self.phase {
            Phase::Starting => (wire::MachineState::Starting, ""),
            Phase::Running => (wire::MachineState::Running, ""),
            Phase::Releasing { reason } | Phase::Exited { reason } => {
                (wire::MachineState::Exited, reason.as_str())
            }
            Phase::Destroying => (wire::MachineState::Exited, "being destroyed"),
        };
        wire::MachineReport {
            sandbox_id: self.id.to_string(),
            generation: self.generation,
            state: state.into(),
            reason: reason.to_owned(),
            busy,
        }
    }
}

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

    /// As [`save`](Self::save), but without waiting for the disk: for what means nothing after a loss of power, as it
    /// names processes and networks that are gone then.
    ///
    /// # Errors
    /// See [`atomic_write`].
    pub fn save_step(&self, record: &Record) -> Result<(), StateError> {
        self.write(record, Durability::Process)
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn spec() -> MachineSpec {
        MachineSpec {
            template_id: "tpl".into(),
            image: "minimal.ext4".into(),
            vcpus: 1,
            memory_mb: 256,
            disk_size_mb: 1024,
            hostname: "box".into(),
            default_user: String::new(),
            default_env: BTreeMap::from([("LANG".into(), "C.UTF-8".into())]),
        }
    }

    fn record(phase: Phase, outcome: Option<Outcome>) -> Record {
        let resources = Resources { slot: Some(SlotNumber(3)), vm: None };
        Record { id: SandboxId::new(), generation: 7, phase, spec: spec(), resources, outcome }
    }

    fn every_record() -> Vec<Record> {
        let reason = || "why".to_owned();
        let failed =
            CommandError { kind: FailureKind::NoSpace, message: reason(), state: MachineState::Exited };
        vec![
            record(Phase::Starting, None),
            record(
                Phase::Running,
                Some(Outcome::Started { guest_ip: "1".into(), host_ip: "2".into(), boot_ms: 3 }),
            ),
            record(Phase::Releasing { reason: reason() }, None),
            record(Phase::Exited { reason: reason() }, Some(Outcome::Failed(failed))),
            record(Phase::Destroying, Some(Outcome::Destroyed)),
        ]
    }

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
        let good = record(Phase::Running, None);
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
    }

    #[test]
    fn records_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = RecordStore::open(dir.path().to_owned(), Durability::Process).unwrap();
        let record = record(Phase::Starting, None);
        store.save(&record).unwrap();
        let mode = fs::metadata(store.path(record.id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
