//! All teams.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod quota;

use wrenn_control::team_byoc_set::ChangeTeamError;

use crate::error::impl_lookup_error;

impl_lookup_error!(ChangeTeamError);
