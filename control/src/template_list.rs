//! Lists the templates that the principal's team sees: its own and the platform's.

use wrenn_domain::{
    action::Action,
    page::{Page, PageRequest},
    principal::Principal,
    template::{Template, TemplateKind},
};

use crate::{Control, read_error::ReadError};

/// Returns the templates, newest first; all kinds, or one.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    kind: Option<TemplateKind>,
    page: PageRequest,
) -> Result<Page<Template>, ReadError> {
    let pass = control.enter(principal, Action::TemplateList).await?;
    Ok(control.store().template_list(pass.team(), kind, page).await?)
}
