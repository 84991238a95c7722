//! Administration of the platform: for administrators alone, whoever's team they act for.

pub(crate) mod builds;
pub(crate) mod templates;
