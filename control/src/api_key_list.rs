//! Lists the API keys of the principal's team.

use wrenn_domain::{
    action::Action,
    api_key::ApiKey,
    page::{Page, PageRequest},
    principal::Principal,
};

use crate::{Control, read_error::ReadError};

/// Returns the keys' records, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<ApiKey>, ReadError> {
    let pass = control.enter(principal, Action::ApiKeyList).await?;
    Ok(control.store().api_keys_of_team(pass.team(), page).await?)
}
