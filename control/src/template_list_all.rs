//! Lists every team's templates, for an administrator of the platform.

use wrenn_domain::{
    action::Action,
    page::{Page, PageRequest},
    principal::Principal,
    template::Template,
};

use crate::{Control, read_error::ReadError};

/// Returns the templates that are ready with the names of their teams, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    page: PageRequest,
) -> Result<Page<(Template, String)>, ReadError> {
    let _pass = control.enter(principal, Action::AdminTemplateList).await?;
    Ok(control.store().template_list_all(page).await?)
}
