//! Deletes a notification channel, with what waits for it.

use wrenn_domain::{action::Action, admission::EnterError, ids::ChannelId, principal::Principal};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a channel is still there, or never was.
#[derive(Debug, thiserror::Error)]
pub enum DeleteChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such channel.
    #[error("there is no channel {0}")]
    NotFound(ChannelId),
    /// The database failed.
    #[error("the channel could not be deleted")]
    Store(#[from] StoreError),
}

/// Deletes a channel of the principal's team.
///
/// # Errors
/// See [`DeleteChannelError`].
pub async fn run(control: &Control, principal: &Principal, id: ChannelId) -> Result<(), DeleteChannelError> {
    let pass = control.enter(principal, Action::ChannelDelete).await?;
    let intent = pass.intent().of(id);
    let deleted = match control.store().channel_delete(pass.team(), id, &intent).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(DeleteChannelError::NotFound(id)),
        Err(error) => Err(error.into()),
    };
    control.audited(intent, deleted).await?;
    tracing::info!(channel_id = %id, "channel deleted");
    Ok(())
}
