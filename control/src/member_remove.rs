//! Removes a member from a team.

use wrenn_domain::{action::Action, ids::UserId, permission::Denial, principal::Principal};

use crate::{Control, team_error::TeamChangeError};

/// Removes a member other than the owner from the principal's team. The member's keys of the team end with it.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal, member: UserId) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::MemberRemove).await?;
    let intent = pass.intent().of(member);
    let removed = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        Ok(control.store().member_remove(pass.team(), by, member, &intent).await?)
    };
    control.audited(intent.clone(), removed.await).await
}
