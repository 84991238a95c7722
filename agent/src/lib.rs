//! The host agent: everything that happens on a machine that runs capsules.
//!
//! ```text
//!   link ─▶ machines ─▶ vmm   one process per machine, in its own cgroup and namespace
//!                    ├▶ disk  reflinked images on one volume
//!                    └▶ net   slots: a namespace with tap, veth and NAT, made ahead
//! ```
//!
//! [`vmm`], [`disk`] and [`net`] are the host's primitives: they know processes, files and interfaces, and
//! nothing of the control plane. [`leftovers`] finds whatever they have left behind, and removes it.

pub mod config;
pub mod disk;
pub mod guest_client;
mod host_load;
pub mod leftovers;
pub mod link;
pub mod machines;
pub mod net;
pub mod node;
mod open_files;
mod run;
pub mod sim;
pub mod vmm;

pub use self::{
    config::Config,
    open_files::raise_open_files_limit,
    run::{RunError, run},
};
