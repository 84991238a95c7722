//! Machines: what the control plane wants of them, what is true of them, and the work that lies between.
//!
//! ```text
//!   link ─ Dispatch ─▶ Machines ─ Order ─▶ MachineActor ─▶ work ─▶ Backend (real or simulated)
//!                                              │             │
//!                                   decide()   │             ├─▶ RecordStore, Tombstones   on disk
//!                                   (fence)    │             ├─▶ Board    ─▶ inventory, tunnels
//!                                              │             └─▶ Outbox   ─▶ results, events
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | [`fence`] | which command is taken: pure |
//! | [`record`], [`outcome`], [`store`] | what is remembered of a machine, and how, on disk |
//! | [`tombstones`] | what is remembered of a destroyed one |
//! | [`manifest`] | what saved memory is, and whether it can be restored here: pure |
//! | [`backend`], [`library`] | the steps of which the work consists: machines, and what they are made from |
//! | [`kernel_modules`] | the disk of modules that all capsules of a host share |
//! | [`leases`] | who uses a template or a boot snapshot |
//! | [`source`] | where templates come from that were made on other hosts |
//! | [`board`] | what everybody else may know |
//! | [`time_sync`] | the wall clocks of guests |
//! | `work` | the order of the steps, and what happens when one fails |
//! | `actor`, `registry` | one actor per machine, and their parent |
//! | `real` | the backend with processes, disks and networks |
//! | [`fault_points`] | where tests hold the work up |

mod actor;
pub mod backend;
pub mod board;
pub mod fault_points;
pub mod fence;
mod images;
pub mod kernel_modules;
pub mod leases;
pub mod library;
pub mod manifest;
pub mod outcome;
mod real;
pub mod record;
mod registry;
pub mod source;
pub mod store;
pub mod time_sync;
pub mod tombstones;
mod work;

pub use self::{
    actor::{MachineActor, Wish},
    board::{Access, Board, Gone},
    images::{Images, ImagesError},
    real::{Parts, RealBackend},
    registry::{Dispatch, Machines},
    work::{Host, Memory},
};
