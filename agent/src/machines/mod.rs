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
//! | [`record`] | what is remembered of a machine, on disk |
//! | [`tombstones`] | what is remembered of a destroyed one |
//! | [`backend`] | the steps of which the work consists |
//! | [`board`] | what everybody else may know |
//! | `work` | the order of the steps, and what happens when one fails |
//! | `actor`, `registry` | one actor per machine, and their parent |
//! | `real` | the backend with processes, disks and networks |

mod actor;
pub mod backend;
pub mod board;
pub mod fence;
mod images;
mod real;
pub mod record;
mod registry;
pub mod tombstones;
mod work;

pub(crate) use self::work::causes;
pub use self::{
    actor::{MachineActor, Wish},
    board::{Access, Board},
    images::{Images, ImagesError},
    real::{Parts, RealBackend},
    registry::{Dispatch, Machines},
    work::Host,
};

#[cfg(test)]
mod tests;
