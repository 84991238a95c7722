//! Shows the quota of a team, and its use.

use wrenn_domain::{
    action::Action,
    principal::Principal,
    quota::{Quota, Usage},
};

use crate::{Control, read_error::ReadError, team_get::GetTeamError};

/// Returns the limits of the principal's team, with the platform's defaults where it has none of its own, and its use.
///
/// # Errors
/// See [`GetTeamError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(Quota, Usage), GetTeamError> {
    let pass = control.enter(principal, Action::TeamQuotaGet).await.map_err(ReadError::from)?;
    let found = control.store().team_quota(pass.team()).await.map_err(ReadError::from)?;
    let found = found.ok_or(GetTeamError::Gone)?;
    Ok((found.own.over(&found.defaults), found.usage))
}
