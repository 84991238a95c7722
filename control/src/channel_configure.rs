//! Sets the destination of a notification channel, with a new key for a webhook, which also switches it on.

use std::collections::BTreeMap;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    channel::{Channel, SigningSecret, config::ConfigError},
    ids::ChannelId,
    permission::Denial,
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, channel_create::target};

/// The reason for which a channel has the destination from before.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The team has no such channel.
    #[error("there is no channel {0}")]
    NotFound(ChannelId),
    /// The database failed.
    #[error("the channel could not be changed")]
    Store(#[from] StoreError),
}

/// Sets the destination of a channel of the principal's team; returns its record, and for a webhook the new key.
///
/// # Errors
/// See [`ConfigureChannelError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: ChannelId,
    fields: &BTreeMap<String, String>,
) -> Result<(Channel, Option<SigningSecret>), ConfigureChannelError> {
    let pass = control.enter(principal, Action::ChannelConfigure).await?;
    let intent = pass.intent().of(id);
    let configured: Result<_, ConfigureChannelError> = async {
        let (store, team) = (control.store(), pass.team());
        let by = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
        let channel = store.channel_find(team, id).await?.ok_or(ConfigureChannelError::NotFound(id))?;
        let target = target(control, channel.provider, fields)?;
        let configured = store.channel_configure(team, id, &target, by, &intent).await?;
        Ok((configured.ok_or(ConfigureChannelError::NotFound(id))?, target.secret))
    }
    .await;
    control.audited(intent, configured).await
}
