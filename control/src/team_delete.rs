//! Deletes a team, for its owner.

use wrenn_domain::{action::Action, permission::Denial, principal::Principal};
use wrenn_store::teams::TeamDeletion;

use crate::{Control, team_end, team_error::TeamChangeError};

/// Deletes the principal's team. Everything that it has is removed from the hosts, which goes on after the answer.
///
/// # Errors
/// See [`TeamChangeError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<(), TeamChangeError> {
    let pass = control.enter(principal, Action::TeamDelete).await?;
    let intent = pass.intent().of(pass.team());
    let deleted = async {
        let by = principal.user().ok_or(Denial::NotSignedIn)?;
        team_end::end(control, pass.team(), TeamDeletion::ByOwner(by), &intent).await
    };
    control.audited(intent.clone(), deleted.await).await
}
