//! Users, as other users see them.

pub(crate) mod search;
