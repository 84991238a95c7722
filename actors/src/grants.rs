//! Grants: permissions that last, and their revocation.
//!
//! ```text
//!   request ─▶ permitted ─▶ Grants::hold ─▶ Grant, held by whatever stays open: a session, a stream of logs, a preview
//!                                             ▲ revoked
//!   every 2 s, and on each notice of Postgres ┴─ look: the principals of all grants, as the database sees them now
//! ```
//!
//! A request asks for permission once, and what it opens may last for hours. So each look takes every principal that
//! holds a grant, reads whether its credentials are still accepted, and asks the table of actions anew. A grant whose
//! principal is gone, or may no longer do what it was granted for, is revoked: whoever holds it learns that at once.
//!
//! **Failure.** A look that fails revokes nothing, and another one follows. A notice that is lost is made up for by the
//! next look. A principal that lost its rights between the request and the grant loses the grant with the next look.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use wrenn_domain::{action::Action, permission::permit, principal::Principal};
use wrenn_store::{Store, StoreError};

/// All grants of this server; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    held: Mutex<HashMap<u64, Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    principal: Principal,
    actions: Arc<[Action]>,
    revoked: CancellationToken,
}

/// Permission of a principal for one or more actions, until it is revoked; clones share it.
#[derive(Debug, Clone)]
pub struct Grant {
    principal: Principal,
    revoked: CancellationToken,
    _entry: Option<Arc<Entry>>,
}

/// Removes a grant that nobody holds any more.
#[derive(Debug)]
struct Entry {
    number: u64,
    shared: Arc<Shared>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.held.lock().remove(&self.number);
    }
}

impl Grant {
    /// Returns the grant of the control plane itself, which nobody revokes.
    pub fn of_system(principal: Principal) -> Self {
        debug_assert!(matches!(principal, Principal::System { .. }), "{principal:?} can lose its rights");
        Self { principal, revoked: CancellationToken::new(), _entry: None }
    }

    /// Returns the principal.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Returns true if the permission is revoked.
    pub fn is_revoked(&self) -> bool {
        self.revoked.is_cancelled()
    }

    /// Waits until the permission is revoked.
    pub async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Grants {
    /// Returns the number of grants that are held.
    pub(crate) fn len(&self) -> usize {
        self.shared.held.lock().len()
    }

    /// Notes a permission that was just given, for as long as the grant is held. It is revoked if the principal may no longer
    /// carry out one of the actions.
    pub(crate) fn hold(&self, principal: Principal, actions: &[Action]) -> Grant {
        if !can_lose_rights(&principal) {
            return Grant { principal, revoked: CancellationToken::new(), _entry: None };
        }
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let revoked = CancellationToken::new();
        self.shared
            .held
            .lock()
            .insert(number, Held { principal, actions: actions.into(), revoked: revoked.clone() });
        let entry = Arc::new(Entry { number, shared: self.shared.clone() });
        Grant { principal, revoked, _entry: Some(entry) }
    }

    /// Revokes the grants whose principals may no longer do what they were granted for.
    ///
    /// # Errors
    /// If the database failed; nothing is revoked then.
    pub(crate) async fn look(&self, store: &Store) -> Result<(), StoreError> {
        let held: Vec<Held> = self.shared.held.lock().values().cloned().collect();
        if held.is_empty() {
            return Ok(());
        }
        let principals: HashSet<Principal> = held.iter().map(|held| held.principal).collect();
        let now = store.principals_now(principals).await?;
        for Held { principal, actions, revoked } in held {
            let is_permitted = |now| actions.iter().all(|action| permit(now, *action).is_ok());
            let stands = now.get(&principal).is_some_and(is_permitted);
            if !stands && !revoked.is_cancelled() {
                tracing::info!(?principal, ?actions, "permission revoked, ending what it opened");
                revoked.cancel();
            }
        }
        Ok(())
    }

    /// Looks whenever Postgres reports that a principal may have lost rights; returns when the connection breaks.
    ///
    /// # Errors
    /// If the database failed.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        let mut notices = store.principal_notices().await?;
        loop {
            notices.next().await?;
            self.look(store).await?;
        }
    }
}

/// Returns true if the principal has credentials that can end.
fn can_lose_rights(principal: &Principal) -> bool {
    match principal {
        Principal::User { .. } | Principal::ApiKey { .. } => true,
        Principal::Anonymous | Principal::Host { .. } | Principal::System { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use wrenn_domain::{
        ids::{ApiKeyId, TeamId, UserId},
        principal::SystemReason,
        scope::Scopes,
    };

    use super::*;

    #[test]
    fn a_grant_is_noted_for_as_long_as_somebody_holds_it() {
        let grants = Grants::default();
        let key = Principal::ApiKey {
            id: ApiKeyId::new(),
            team: TeamId::new(),
            created_by: UserId::new(),
            scopes: Scopes::DEFAULT,
        };
        let grant = grants.hold(key, &[Action::Terminal]);
        let other = grant.clone();
        drop(grant);
        assert_eq!(grants.shared.held.lock().len(), 1);
        drop(other);
        assert!(grants.shared.held.lock().is_empty());
    }

    #[test]
    fn the_control_plane_keeps_its_rights() {
        let grants = Grants::default();
        let grant = grants.hold(Principal::system(SystemReason::Traffic), &[Action::Exec]);
        assert!(grants.shared.held.lock().is_empty() && !grant.is_revoked());
    }
}
