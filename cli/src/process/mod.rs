//! Processes that `wrenn up` and `wrenn services` start, and keep running.
//!
//! ```text
//!   wrenn up ── spawns ─▶ wrenn launch --parent … ── exec ─▶ postgres | redis | wrenn server | wrenn agent
//!      ▲                                                        │ stdout, stderr
//!      └────────────────── pipe, into a bounded log file ◀──────┘
//! ```
//!
//! [`supervised`] restarts what dies, with growing pauses. [`launch`] is the short program in between that
//! sets what only the process itself can set: end with the parent, user, mounts. [`log`] bounds the logs.

pub mod launch;
pub mod log;
pub mod stack;
pub mod supervised;

use std::{env, path::PathBuf};

pub use launch::Launch;
pub use stack::{EndSignal, ProcessStack};
pub use supervised::{Process, ProcessSpec};

/// Path of a program, as a shell would find it; also in the system's own folders, which a user's `PATH` may lack.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|path| path.is_file())
}
