//! Which installation this is, among those on one machine.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The claim of one data folder on a number; held until dropped.
#[derive(Debug)]
pub struct Instance {
    number: u8,
    runtime_dir: PathBuf,
}

/// Why no number could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another agent uses this data folder now.
    #[error("{data_dir} is in use by another agent")]
    InUse {
        /// The data folder.
        data_dir: PathBuf,
    },
    /// Every number is taken by another installation on this machine.
    #[error("this machine has too many installations")]
    Full,
    /// A file of the claim could not be read or written.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Instance {
    /// Claims a number for a data folder, the same as last time if possible. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn claim(data_dir: &Path) -> Result<Self, ClaimError> {
        let _ = data_dir;
        todo!()
    }

    /// The number, as it appears in the names of interfaces, namespaces and cgroups.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Folder for sockets of this installation, `/run/wrenn/<number>`; gone after a reboot.
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// Name of this installation's parent cgroup and of its firewall table.
    pub fn name(&self) -> String {
        format!("wrenn-{}", self.number)
    }
}
