//! Every team's templates.

pub(crate) mod delete;
pub(crate) mod list;
