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

pub use launch::Launch;
pub use stack::{EndSignal, ProcessStack};
pub use supervised::{Process, ProcessSpec};
