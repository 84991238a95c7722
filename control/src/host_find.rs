//! The lookup of a host, with which every use case of one begins.
//!
//! An administrator of the platform sees and manages every host. Members see the hosts that their team brought, and its admins
//! manage them. To all others a host does not exist.

use wrenn_domain::{
    audit::AuditIntent,
    host::Host,
    ids::HostId,
    permission::Denial,
    principal::{Membership, Principal},
    team::Role,
};

use crate::{Control, enter::Pass, host_error::HostError};

/// Returns a host that the principal sees.
///
/// # Errors
/// [`HostError::NotFound`], also for a host of others.
pub(crate) async fn visible(control: &Control, principal: &Principal, id: HostId) -> Result<Host, HostError> {
    of_role(control, principal, id, Role::Member).await
}

/// Returns a host that the principal manages.
///
/// # Errors
/// [`HostError::NotFound`], also for a host of others; a [`Denial`] for a member of the team that is no admin of it.
pub(crate) async fn managed(control: &Control, principal: &Principal, id: HostId) -> Result<Host, HostError> {
    of_role(control, principal, id, Role::Admin).await
}

async fn of_role(
    control: &Control,
    principal: &Principal,
    id: HostId,
    least: Role,
) -> Result<Host, HostError> {
    let host = control.store().host_fetch(id).await?.ok_or(HostError::NotFound(id))?;
    match principal {
        Principal::System { .. } | Principal::User { is_admin: true, .. } => Ok(host),
        Principal::User { membership: Some(Membership { team, role }), .. }
            if host.team_id == Some(*team) =>
        {
            if role.includes(least) {
                Ok(host)
            } else {
                Err(Denial::Role(least).into())
            }
        }
        _ => Err(HostError::NotFound(id)),
    }
}

/// Begins the audit entry of a change of a host: its team's log shows it, or the platform's.
pub(crate) fn intent(pass: &Pass, host: &Host) -> AuditIntent {
    let intent = pass.intent().of(host.id);
    match host.team_id {
        Some(team) => intent.in_team(team),
        None => intent.of_platform(),
    }
}
