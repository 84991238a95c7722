//! Lets a member leave a team.

use wrenn_domain::{action::Action, permission::Denial, principal::Principal};

use crate::{Control, team_error::TeamChangeError};

/// Takes the signed-in user out of the team, unless the user owns it. The user's keys of the team end with it.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::TeamLeave).await?;
    let user = principal.user().ok_or(Denial::NotSignedIn)?;
    let intent = pass.intent().of(user);
    let left = control.store().member_leave(pass.team(), user, &intent).await;
    control.audited(intent, left.map_err(TeamChangeError::from)).await
}
