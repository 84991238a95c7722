//! Runs commands.
//!
//! ```text
//!  ExecStart ──Plan──▶ Engine::run ──fork, exec──▶ process (own session, own cgroup)
//!                          │                          │ stdout, stderr
//!     inputs ──▶ feed ──▶ stdin                     pump ──▶ bounded channel ──▶ events
//!                          │
//!                      supervise: exit, timeout, caller gone
//! ```
//!
//! Nothing here needs to be PID 1: the same engine runs in an ordinary process, as the tests do.
//!
//! What happens on failure: a command that cannot start is one [`ExecError`]; a caller that goes away
//! gets its processes killed; a timeout kills the cgroup (or, without cgroups, the process group).

mod cgroup;
mod engine;
mod error;
mod input;
mod output;
mod plan;
mod registry;
mod ring;

pub use cgroup::Cgroups;
pub use engine::Engine;
pub use error::ExecError;
pub use plan::{Defaults, Lifetime, Plan, WorkingDirectory};
pub use registry::{BackgroundProcess, Registry};
pub use ring::Ring;
