//! Simulated hosts: the real agent (link, machine actors, records) over machines that are only pretended.
//!
//! ```text
//!   test ─▶ SimHost ─┬─ Node: Link, Machines, ...    as on a real host
//!                    └─ SimWorld: machines, slots, disks, faults    lives on when the agent is killed
//! ```
//!
//! Any number of hosts run in one process, on a thread of their own that they share, so they need nothing of the
//! runtime of the test.
//!
//! A guest understands the few commands that are listed at [`SimGuest`]; its ports are those of the machine on which
//! the test runs.

mod backend;
mod files;
mod guest;
mod host;
mod meter;
mod options;
mod ports;
mod processes;
#[cfg(test)]
mod tests;
mod transfer;
mod vm;
mod world;

pub use self::{
    backend::SimBackend,
    guest::SimGuest,
    host::{SimError, SimHost, SimIdentity},
    options::{BootSnapshots, SimOptions},
    world::{SimFault, SimStep, SimWorld},
};
