//! The QEMU driver: machine type microvm, KVM where it works, else emulation.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    AdoptError, BootError, BootSpec, KillError, VmProcess, VmRecord, Vmm, accel::Acceleration,
    process::kill_record,
};

/// Runs machines with QEMU.
#[derive(Debug, Clone)]
pub struct Qemu {
    program: PathBuf,
    version: String,
    acceleration: Acceleration,
}

/// Why QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// It is in none of the folders of `PATH`.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// It does not tell its version.
    #[error("ask {program} for its version")]
    Version {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Qemu {
    /// Finds QEMU in `PATH`, and how it accelerates here ([`super::accel::probe`], cached in `cache_dir`).
    ///
    /// # Errors
    /// [`DetectError`] if it is not installed or does not run.
    pub async fn detect(cache_dir: &Path) -> Result<Self, DetectError> {
        let _ = cache_dir;
        todo!()
    }

    /// How machines run here.
    pub fn acceleration(&self) -> &Acceleration {
        &self.acceleration
    }
}

impl Vmm for Qemu {
    async fn boot(&self, spec: &BootSpec) -> Result<VmProcess, BootError> {
        let _ = spec;
        todo!()
    }

    async fn adopt(&self, record: &VmRecord) -> Result<VmProcess, AdoptError> {
        let _ = record;
        todo!()
    }

    async fn kill(&self, record: &VmRecord) -> Result<(), KillError> {
        kill_record(record).await
    }

    fn overhead_mb(&self) -> u64 {
        256
    }

    fn description(&self) -> String {
        format!("{} {}", self.program.display(), self.version)
    }
}
