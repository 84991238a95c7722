//! The beginning of every use case: permission, then a place among the requests that are carried out.

use wrenn_base::Chain;
use wrenn_domain::{
    action::{Action, Audit},
    admission::EnterError,
    audit::AuditIntent,
    ids::TeamId,
    permission::permit,
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, admission::Slot};

/// Permission for one action, and a place among the requests that are carried out.
///
/// The place is free again when the pass is dropped: a use case that waits for a machine drops it before.
#[derive(Debug)]
#[must_use = "a place is held as long as the pass lives"]
pub struct Pass {
    principal: Principal,
    action: Action,
    _slot: Option<Slot>,
}

impl Control {
    /// Permits `principal` to carry out `action`, and waits for its team's turn.
    ///
    /// # Errors
    /// See [`EnterError`].
    pub async fn enter(&self, principal: &Principal, action: Action) -> Result<Pass, EnterError> {
        permit(principal, action)?;
        let slot = match principal {
            // The control plane's own work is bounded by whoever begins it.
            Principal::System { .. } => None,
            principal => Some(self.shared.admission.admit(principal.team()).await?),
        };
        Ok(Pass { principal: *principal, action, _slot: slot })
    }

    /// Passes on what became of a change; if it was not begun, that is written to the audit log.
    ///
    /// A change that was begun has its entry already, in the transaction that began it, so nothing is written twice. What
    /// failed for lack of a connection is not written: it was never looked at, and would wait for a connection once more.
    pub(crate) async fn audited<T, E: std::error::Error + 'static>(
        &self,
        intent: AuditIntent,
        done: Result<T, E>,
    ) -> Result<T, E> {
        debug_assert_eq!(intent.action.spec().audit, Audit::Change, "{} is not audited", intent.action);
        if let Err(refusal) = &done
            && !is_overload(refusal)
            && let Err(error) = self.store().audit_refuse(&intent, &refusal.to_string()).await
        {
            tracing::error!(error = %Chain(&error), action = %intent.action, %refusal, "audit entry of a refusal was lost");
        }
        done
    }
}

/// Returns true if an error, or one of its sources, is that no connection to the database was free in time.
fn is_overload(error: &(dyn std::error::Error + 'static)) -> bool {
    Chain(error).find::<StoreError>().is_some_and(StoreError::is_overload)
}

impl Pass {
    /// Returns the team for which the principal acts; the platform's, if it acts for none.
    pub fn team(&self) -> TeamId {
        self.principal.team().unwrap_or(TeamId::PLATFORM)
    }

    /// Begins the audit entry of the change.
    pub fn intent(&self) -> AuditIntent {
        AuditIntent::new(self.principal, self.action)
    }
}
