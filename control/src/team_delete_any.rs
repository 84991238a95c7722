//! Deletes any team, for an administrator of the platform.

use wrenn_domain::{action::Action, ids::TeamId, principal::Principal, team::TeamRefusal};
use wrenn_store::teams::TeamDeletion;

use crate::{Control, team_end, team_error::TeamChangeError};

/// Deletes a team with its capsules.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal, team: TeamId) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::AdminTeamDelete).await?;
    let intent = pass.intent().in_team(team).of(team);
    let ended = if team == TeamId::PLATFORM {
        Err(TeamRefusal::Gone.into())
    } else {
        team_end::end(control, team, TeamDeletion::ByPlatform, &intent).await
    };
    control.audited(intent, ended).await
}
