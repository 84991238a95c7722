//! Administration of the platform, for its administrators only, in whichever team they act.

pub(crate) mod audit_logs;
pub(crate) mod builds;
pub(crate) mod capsules;
pub(crate) mod events;
pub(crate) mod settings;
pub(crate) mod switches;
pub(crate) mod teams;
pub(crate) mod templates;
pub(crate) mod token_key;
pub(crate) mod users;
