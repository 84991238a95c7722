//! Administration of the platform, for its administrators only, in whichever team they act.

pub(crate) mod builds;
pub(crate) mod templates;
