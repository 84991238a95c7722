//! `wrenn-guest`: PID 1 of a capsule, and the hand of its host inside it.
//!
//! ```text
//!  kernel ──/init──▶ boot: modules, disk, mounts, network
//!                      └──▶ service (guest.proto over the tap, host side only)
//!                             ├── exec: commands, their users, output and timeouts
//!                             ├── fs: files, with the rights of whoever they belong to
//!                             ├── dial: connections to what listens in the capsule
//!                             └── machine, wall_clock: entropy, clock, hostname, freeze, power
//! ```
//!
//! One thread runs everything but what touches the capsule's own files, on which it could be made to wait: the daemon
//! waits nearly always, and the machine around it is small and slow. `boot` is what only PID 1 may do; all else also runs in an ordinary process, where it is tested.
//!
//! What happens on failure: while booting, one line on the console and the machine goes down, so that the
//! host sees its VMM exit; later, an error to the caller. A panic aborts, which panics the kernel, which
//! takes the machine down too.

pub mod accounts;
pub mod boot;
mod connections;
pub mod dial;
pub mod environment;
pub mod exec;
pub mod figures;
pub mod files;
pub mod fs;
pub mod lock;
pub mod machine;
pub mod reaper;
pub mod run_folder;
pub mod service;
mod sys;
pub mod wall_clock;
