//! What an installation has on its host: everything that must be gone after `wrenn down`.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Everything of one installation that was found on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Pids of VMMs.
    pub processes: Vec<u32>,
    /// Network namespaces.
    pub namespaces: Vec<String>,
    /// Interfaces in the host's namespace.
    pub interfaces: Vec<String>,
    /// Firewall tables.
    pub tables: Vec<String>,
    /// Cgroups.
    pub cgroups: Vec<PathBuf>,
    /// Mount points in the data folder.
    pub mounts: Vec<PathBuf>,
    /// Loop devices over files in the data folder.
    pub loops: Vec<PathBuf>,
    /// Sockets and other files under `/run/wrenn`.
    pub runtime_files: Vec<PathBuf>,
}

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("remove {what}")]
pub struct CleanError {
    /// The thing.
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Leftovers {
    /// Looks for everything of the installation of a data folder. Blocks for some milliseconds.
    pub fn scan(data_dir: &Path) -> Self {
        let _ = data_dir;
        todo!()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Kills and removes all of it, machines first, the volume's mount last. Never touches the files of the
    /// data folder.
    ///
    /// # Errors
    /// [`CleanError`] for what is still there; the rest is gone.
    pub async fn clean(&self) -> Result<(), Vec<CleanError>> {
        todo!()
    }
}
