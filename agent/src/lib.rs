//! The host agent: everything that happens on a machine that runs capsules.
//!
//! ```text
//!   link ─▶ machines ─▶ vmm   one process per machine, in its own cgroup and namespace
//!                    ├▶ disk  reflinked images on one volume
//!                    └▶ net   slots: a namespace with tap, veth and NAT, made ahead
//! ```
//!
//! The modules, bottom to top; each uses only those above its line:
//!
//! | module | contents |
//! |---|---|
//! | `host_load`, `open_files`, [`outbox`] | figures of the host, the limit of open files, the queue of frames to the control plane |
//! | [`disk`] | volume, images, small files |
//! | [`vmm`] | processes of machines and their drivers, cgroups |
//! | [`net`] | installations and their numbers, network slots |
//! | [`metrics`] | measurements of machines |
//! | [`config`], [`guest`], [`leftovers`] | settings; the daemon inside a machine; what an installation has on its host, and its removal |
//! | [`machines`] | commands for machines, and the work of carrying them out |
//! | [`link`] | the connection to the control plane |
//! | [`node`] | the actors of one agent |
//! | [`sim`], `run` | simulated hosts; a real agent from start to end |
//!
//! [`vmm`], [`disk`] and [`net`] are the host's primitives: they know processes, files and interfaces, and
//! nothing of the control plane.

pub mod config;
pub mod disk;
pub mod guest;
mod host_load;
pub mod leftovers;
pub mod link;
pub mod machines;
pub mod metrics;
pub mod monitoring;
pub mod net;
pub mod node;
mod open_files;
pub mod outbox;
mod run;
pub mod sim;
pub mod vmm;

pub use self::{
    config::Config,
    open_files::raise_open_files_limit,
    run::{RunError, run},
};
