//! Reads the audit log: a team's own, or that of the whole platform.

use wrenn_actors::Grant;
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    audit_log::{AuditEntry, AuditFilter},
    page::{Page, PageRequest},
    permission::Denial,
    principal::Principal,
    scope::{Scope, Scopes},
    team::Role,
};

use crate::{Control, Pass, read_error::ReadError};

/// Log that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditLog {
    /// The log of the principal's team.
    OfTeam,
    /// The log of all teams and of the platform.
    OfPlatform,
}

/// Returns entries of a log, newest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    log: AuditLog,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditEntry>, ReadError> {
    let pass = control.enter(principal, log.action()).await?;
    let team = match log {
        AuditLog::OfTeam => {
            check_maker(control, principal, &pass).await?;
            Some(pass.team())
        }
        AuditLog::OfPlatform => None,
    };
    Ok(control.store().audit_list(team, filter, page).await?)
}

/// Returns the permission to read a log for as long as an export lasts.
pub fn hold(control: &Control, principal: &Principal, log: AuditLog) -> Grant {
    control.actors().grant(*principal, log.action())
}

impl AuditLog {
    const fn action(self) -> Action {
        match self {
            Self::OfTeam => Action::AuditList,
            Self::OfPlatform => Action::AdminAuditList,
        }
    }
}

/// Checks that a key which only reads was made by somebody who may read the log: members may not, but can make such keys.
async fn check_maker(control: &Control, principal: &Principal, pass: &Pass) -> Result<(), ReadError> {
    let Principal::ApiKey { created_by, scopes, .. } = principal else { return Ok(()) };
    if scopes.includes(Scopes::of(&[Scope::Admin])) {
        // Only the keys of owners and admins have this scope.
        return Ok(());
    }
    let maker = control.store().user_find_with_role(*created_by, Some(pass.team())).await?;
    match maker.and_then(|(_, role)| role) {
        Some(role) if role.includes(Role::Admin) => Ok(()),
        _ => Err(EnterError::Denied(Denial::Role(Role::Admin)).into()),
    }
}
