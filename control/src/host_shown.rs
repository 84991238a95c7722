//! A host as a principal sees it: for an administrator of the platform, with the name of its team.

use wrenn_domain::{host::Host, page::Page, principal::Principal};
use wrenn_store::StoreError;

use crate::Control;

/// A host, and the name of its team if the principal sees that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownHost {
    /// The host.
    pub host: Host,
    /// Name of the team that brought it; only for an administrator of the platform.
    pub team_name: Option<String>,
}

/// Adds what the principal sees beside the record.
pub(crate) async fn shown(
    control: &Control,
    principal: &Principal,
    host: Host,
) -> Result<ShownHost, StoreError> {
    let mut names = match (principal, host.team_id) {
        (Principal::User { is_admin: true, .. }, Some(team)) => control.store().team_names([team]).await?,
        _ => Default::default(),
    };
    let team_name = host.team_id.and_then(|team| names.remove(&team));
    Ok(ShownHost { host, team_name })
}

/// As [`shown`], for a page of hosts.
pub(crate) async fn all_shown(
    control: &Control,
    principal: &Principal,
    hosts: Page<Host>,
) -> Result<Page<ShownHost>, StoreError> {
    let names = match principal {
        Principal::User { is_admin: true, .. } => {
            control.store().team_names(hosts.items.iter().filter_map(|host| host.team_id)).await?
        }
        _ => Default::default(),
    };
    Ok(hosts.map(|host| {
        let team_name = host.team_id.and_then(|team| names.get(&team).cloned());
        ShownHost { host, team_name }
    }))
}
