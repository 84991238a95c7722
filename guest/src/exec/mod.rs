//! Runs commands, and looks after them until nobody asks for them any more.
//!
//! ```text
//!  start ──Plan──▶ Engine ──fork, exec──▶ process (own session, own cgroup; a terminal, if asked for)
//!                    │                      │ stdout, stderr        ▲ stdin
//!                    │                    pump                    feed
//!                    ▼                      ▼                       │
//!                 Registry ─────────▶ Process: output log, feed, group
//!                                      ▲    ▲    ▲
//!  start, attach ──▶ callers, any number, each with a place of its own in the log
//! ```
//!
//! A process belongs to the engine, not to the stream that started it. Its [`Lifetime`] says what happens when that
//! caller goes away: `Attached` is killed, `Kept` and `Background` go on and can be attached to. Output is kept up to
//! [`KEPT_BYTES`] a process; while somebody reads, the process waits for them and nothing is lost.
//!
//! Nothing here needs to be PID 1: the same engine runs in an ordinary process, as the tests do.
//!
//! What happens on failure: a wish that cannot be fulfilled is one [`ExecError`]; a timeout kills the cgroup (or,
//! without cgroups, the process group); output that cannot be read any more ends with the process.

mod caller;
mod cgroup;
mod engine;
mod error;
mod input;
mod log;
mod output;
mod plan;
mod process;
mod registry;
mod terminal;

pub use cgroup::Cgroups;
pub use engine::Engine;
pub use error::ExecError;
pub use log::KEPT_BYTES;
pub use plan::{Defaults, Lifetime, Plan, RequestedCommand, Stdin, WorkingDirectory};
pub use terminal::WindowSize;
