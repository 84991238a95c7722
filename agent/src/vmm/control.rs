//! What can be asked of a machine that runs: its console, a suspend, to run on, a larger disk.
//!
//! ```text
//!             run()                         suspend()
//!   loaded ─────────▶ running ─────────────────────────────▶ suspended ── kill()
//!  (restore)             ▲                                       │
//!                        └───────────────── run() ───────────────┘
//! ```
//!
//! One connection controls a machine, and one task owns it: the watcher of a real machine, or whoever plays a
//! simulated one. Requests reach it as [`VmRequest`]s and are carried out one after the other, to their end, even if
//! whoever asked does not wait for the answer.

use std::{io, path::PathBuf};

use tokio::sync::oneshot;
use wrenn_proto::ids::SandboxId;

use super::qmp::QmpError;

/// Where the outcome of a request goes; whoever asked may have given up.
pub type ControlAnswer = oneshot::Sender<Result<(), ControlError>>;

/// What the owner of a machine's control connection is asked to do.
#[derive(Debug)]
pub enum VmRequest {
    /// Tell the last lines of the guest's console.
    Console {
        /// Where they go.
        answer: oneshot::Sender<String>,
    },
    /// Stop the virtual CPUs, and write the device state into a new file.
    Suspend {
        /// The file, which must not exist.
        state: PathBuf,
        /// Where the outcome goes.
        answer: ControlAnswer,
    },
    /// Let the virtual CPUs run.
    Run {
        /// Where the outcome goes.
        answer: ControlAnswer,
    },
    /// Give the guest a larger disk.
    ResizeDisk {
        /// The size it is to have, in bytes.
        bytes: u64,
        /// Where the outcome goes.
        answer: ControlAnswer,
    },
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The machine has ended, or is about to.
    #[error("machine {id}: it has ended")]
    Ended {
        /// The machine.
        id: SandboxId,
    },
    /// The file for its state could not be made.
    #[error("machine {id}: make {path}")]
    StateFile {
        /// The machine.
        id: SandboxId,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The VMM refused, or did not answer in time; then it may have done it.
    #[error("machine {id}: {action}")]
    Vmm {
        /// The machine.
        id: SandboxId,
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: QmpError,
    },
    /// The VMM did as told, and the outcome is not what it should be.
    #[error("machine {id}: {action}: {problem}")]
    Failed {
        /// The machine.
        id: SandboxId,
        /// What was being done.
        action: &'static str,
        /// What is wrong.
        problem: String,
    },
}
