//! Makes a team, which the signed-in user owns.

use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    ids::TeamId,
    limits,
    permission::Denial,
    principal::Principal,
    team::{NewTeam, Role, Team},
};

use crate::{Control, account, team_error::TeamChangeError};

/// Makes a team; returns it with the user's role in it.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    name: &str,
) -> Result<(Team, Role), TeamChangeError> {
    let pass = control.enter(principal, Action::TeamCreate).await?;
    let id = TeamId::new();
    // A team that was not made has no log.
    let refused = AuditIntent { team: None, ..pass.intent() };
    let intent = refused.clone().in_team(id).of(id);
    let created: Result<_, TeamChangeError> = async {
        let owner = principal.user().ok_or(Denial::NotSignedIn)?;
        let name = name.trim();
        limits::check_name("name", name)?;
        let new = NewTeam { id, name: name.to_owned(), slug: account::slug(name, control.rng()) };
        Ok(control.store().team_create(&new, owner, &intent).await?)
    }
    .await;
    let team = control.audited(refused, created).await?;
    tracing::info!(team_id = %team.id, "team created");
    Ok((team, Role::Owner))
}
