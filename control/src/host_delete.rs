//! Deletes a host.
//!
//! Its agent is terminated: it destroys its machines and forgets its credentials. Capsules that the host has end with it, if the
//! deletion is forced, also while the host is away.

use wrenn_actors::DeleteHostError as ActorError;
use wrenn_domain::{action::Action, host::HostDeletion, ids::HostId, principal::Principal};

use crate::{Control, host_error::HostError, host_find};

/// The reason for which a host was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteHostError {
    /// The host is not shown to the principal, or may not be changed by it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host has capsules, or could not be deleted.
    #[error(transparent)]
    Delete(#[from] ActorError),
}

/// Deletes a host.
///
/// # Errors
/// See [`DeleteHostError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: HostId,
    deletion: HostDeletion,
) -> Result<(), DeleteHostError> {
    let pass = control.enter(principal, Action::HostDelete).await.map_err(HostError::from)?;
    let host = host_find::managed(control, principal, id).await?;
    let intent = host_find::intent(&pass, &host).with("force", deletion == HostDeletion::Forced);
    let deleted = control.actors().host_delete(id, deletion, intent.clone()).await;
    control.audited(intent, deleted.map_err(DeleteHostError::from)).await?;
    Ok(())
}
