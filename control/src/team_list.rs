//! Lists the teams to which the signed-in user belongs.

use wrenn_domain::{
    action::Action,
    principal::Principal,
    team::{Role, Team},
};

use crate::{Control, read_error::ReadError};

/// Returns the teams with the user's role in each; the default one first, then by name.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<(Team, Role)>, ReadError> {
    let _pass = control.enter(principal, Action::TeamList).await?;
    match principal.user() {
        Some(user) => Ok(control.store().teams_of_user(user).await?),
        None => Ok(Vec::new()),
    }
}
