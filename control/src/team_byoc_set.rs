//! Allows or forbids a team to bring hosts of its own, for an administrator of the platform.

use wrenn_domain::{
    action::Action, administration::OwnHosts, admission::EnterError, ids::TeamId, principal::Principal,
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a team was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeTeamError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such team, or it is deleted.
    #[error("there is no team {0}")]
    NotFound(TeamId),
    /// The database failed.
    #[error("the team could not be written")]
    Store(#[from] StoreError),
}

/// Allows or forbids a team to bring hosts of its own. Hosts that it has stay.
///
/// # Errors
/// See [`ChangeTeamError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    team: TeamId,
    hosts: OwnHosts,
) -> Result<(), ChangeTeamError> {
    let pass = control.enter(principal, Action::AdminTeamByoc).await?;
    let intent = pass.intent().in_team(team).of(team).with("enabled", hosts == OwnHosts::Allowed);
    let set = async {
        if team != TeamId::PLATFORM && control.store().team_set_byoc(team, hosts, &intent).await? {
            Ok(())
        } else {
            Err(ChangeTeamError::NotFound(team))
        }
    };
    let set = set.await;
    control.audited(intent, set).await
}
