//! Shows a notification channel.

use wrenn_domain::{
    action::Action, admission::EnterError, channel::Channel, ids::ChannelId, principal::Principal,
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which there is no channel to show.
#[derive(Debug, thiserror::Error)]
pub enum GetChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such channel.
    #[error("there is no channel {0}")]
    NotFound(ChannelId),
    /// The database failed.
    #[error("the channel could not be read")]
    Store(#[from] StoreError),
}

/// Returns the record of a channel of the principal's team.
///
/// # Errors
/// See [`GetChannelError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: ChannelId,
) -> Result<Channel, GetChannelError> {
    let pass = control.enter(principal, Action::ChannelGet).await?;
    control.store().channel_find(pass.team(), id).await?.ok_or(GetChannelError::NotFound(id))
}
