//! Whether this host can really run virtual machines in hardware.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

/// How virtual machines run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceleration {
    /// In hardware: a probe guest has run.
    Kvm,
    /// In software, 10 to 30 times slower.
    Tcg {
        /// What is in the way of KVM, for people.
        why: String,
    },
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kvm => f.write_str("kvm: hardware virtualisation works, a probe guest ran"),
            Self::Tcg { why } => write!(f, "tcg: software emulation, because {why}"),
        }
    }
}

/// Finds out how virtual machines run here. `qemu` is the binary; the answer of the probe guest is kept in
/// `cache_dir` for as long as the host is not booted again.
///
/// Never fails: whatever goes wrong is a reason for emulation.
pub async fn probe(qemu: &Path, cache_dir: &Path) -> Acceleration {
    let _ = (qemu, cache_dir);
    todo!()
}
