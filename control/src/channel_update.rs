//! Renames a notification channel and chooses its events, which also switches it on.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    channel::{self, Channel, ChannelEvent},
    ids::ChannelId,
    limits::{self, LimitError},
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a channel is as before.
#[derive(Debug, thiserror::Error)]
pub enum UpdateChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The name or the events are not valid.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The team has no such channel.
    #[error("there is no channel {0}")]
    NotFound(ChannelId),
    /// The database failed.
    #[error("the channel could not be changed")]
    Store(#[from] StoreError),
}

/// Changes a channel of the principal's team; returns its record.
///
/// # Errors
/// See [`UpdateChannelError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: ChannelId,
    name: &str,
    events: &[ChannelEvent],
) -> Result<Channel, UpdateChannelError> {
    let pass = control.enter(principal, Action::ChannelUpdate).await?;
    let intent = pass.intent().of(id);
    let updated: Result<_, UpdateChannelError> = async {
        let name = name.trim();
        limits::check_name("name", name)?;
        let events = channel::check_events(events)?;
        let updated = control.store().channel_update(pass.team(), id, name, &events, &intent).await?;
        updated.ok_or(UpdateChannelError::NotFound(id))
    }
    .await;
    control.audited(intent, updated).await
}
