//! Shows what ends if a host is deleted.

use wrenn_domain::{
    action::Action, host::TemplateOnHost, ids::HostId, principal::Principal, sandbox::Sandbox,
};
use wrenn_store::host_deletion::is_on_host;

use crate::{
    Control,
    host_delete::DeleteHostError,
    host_error::HostError,
    host_find,
    host_shown::{ShownHost, shown},
};

/// Everything that ends with a host.
#[derive(Debug)]
pub struct HostDeletionPreview {
    /// The host.
    pub host: ShownHost,
    /// The sandboxes that it has, or may have: those that run, start, are paused or stopped, or are missing.
    pub sandboxes: Vec<Sandbox>,
    /// Templates that only it has, without those that nobody sees.
    pub templates: Vec<TemplateOnHost>,
}

/// Returns what a host has that ends with it.
///
/// # Errors
/// See [`DeleteHostError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: HostId,
) -> Result<HostDeletionPreview, DeleteHostError> {
    let _pass = control.enter(principal, Action::HostDeletePreview).await.map_err(HostError::from)?;
    let host = host_find::managed(control, principal, id).await?;
    let mut sandboxes = control.store().sandboxes_of_host(id).await.map_err(HostError::from)?;
    sandboxes.retain(is_on_host);
    let mut templates = control.actors().templates_lost_with(id).await?;
    templates.retain(|template| template.is_visible);
    let host = shown(control, principal, host).await.map_err(HostError::from)?;
    Ok(HostDeletionPreview { host, sandboxes, templates })
}
