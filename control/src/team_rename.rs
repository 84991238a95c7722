//! Gives a team another name. The slug stays, as addresses may contain it.

use wrenn_domain::{action::Action, limits, permission::Denial, principal::Principal};

use crate::{Control, team_error::TeamChangeError};

/// Renames the principal's team.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal, name: &str) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::TeamRename).await?;
    let intent = pass.intent().of(pass.team());
    let renamed = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        let name = name.trim();
        limits::check_name("name", name)?;
        Ok(control.store().team_rename(pass.team(), by, name, &intent).await?)
    };
    control.audited(intent.clone(), renamed.await).await
}
