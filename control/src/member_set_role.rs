//! Gives a member of a team another role, or the team itself.

use wrenn_domain::{
    action::Action, ids::UserId, permission::Denial, principal::Principal, team::Role, team::TeamRefusal,
};

use crate::{Control, team_error::TeamChangeError};

/// Gives a member of the principal's team a role. With [`Role::Owner`] the owner hands over ownership, and becomes an admin.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    member: UserId,
    role: Role,
) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::MemberSetRole).await?;
    let intent = pass.intent().of(member).with("role", role);
    let changed = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        // A key of the owner's is no way to take the team away.
        if role == Role::Owner && matches!(principal, Principal::ApiKey { .. }) {
            return Err(TeamRefusal::NotOwner.into());
        }
        Ok(control.store().member_set_role(pass.team(), by, member, role, &intent).await?)
    };
    control.audited(intent.clone(), changed.await).await
}
