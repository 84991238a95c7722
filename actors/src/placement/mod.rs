//! Placement: which host gets a new sandbox.

mod actor;
mod ledger;

pub(crate) use actor::{Admit, Held, Others, Placement, Readmit};
