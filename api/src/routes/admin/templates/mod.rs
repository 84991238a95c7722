//! The templates of all teams.

pub(crate) mod delete;
pub(crate) mod list;
