//! Placement: which host gets a new sandbox.

mod actor;
mod ledger;
pub mod score;

pub use score::Shortage;

pub(crate) use actor::{Admit, Held, Others, Placement, Readmit};
