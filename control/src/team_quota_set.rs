//! Sets the limits of a team, for an administrator of the platform.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    ids::TeamId,
    principal::Principal,
    quota::{LimitTooLarge, Quota},
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a team keeps its limits.
#[derive(Debug, thiserror::Error)]
pub enum SetQuotaError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// A limit is out of range.
    #[error(transparent)]
    Limit(#[from] LimitTooLarge),
    /// There is no such team, or it is deleted.
    #[error("there is no team {0}")]
    NotFound(TeamId),
    /// The database failed.
    #[error("the limits could not be written")]
    Store(#[from] StoreError),
}

/// Replaces a team's own limits. A use that is larger stays as it is, and nothing is added to it.
///
/// # Errors
/// See [`SetQuotaError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    team: TeamId,
    quota: &Quota,
) -> Result<(), SetQuotaError> {
    let pass = control.enter(principal, Action::AdminTeamQuota).await?;
    let intent = pass.intent().in_team(team).of(team);
    let set = async {
        quota.check()?;
        if team != TeamId::PLATFORM && control.store().team_quota_set(team, quota, &intent).await? {
            Ok(())
        } else {
            Err(SetQuotaError::NotFound(team))
        }
    };
    let set = set.await;
    control.audited(intent, set).await?;
    tracing::info!(team_id = %team, "quota set");
    Ok(())
}
