//! Placement: which host gets a new sandbox.

mod actor;
mod handle;
mod ledger;

pub(crate) use actor::{PlacementActor, PlacementParts};
pub(crate) use handle::{Admit, Others, Placement};
