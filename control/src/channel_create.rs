//! Makes a notification channel of the principal's team.

use std::collections::BTreeMap;

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    channel::{
        self, Channel, ChannelEvent, ChannelProvider, NewChannel, SigningSecret, Target, TooManyChannels,
        config::{ChannelConfig, ConfigError},
    },
    ids::ChannelId,
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
    team::TeamRefusal,
};
use wrenn_store::{
    StoreError, channels::CreateChannelError as StoreCreateError, membership::TeamChangeError,
};

use crate::{Control, auth::secret};

/// The reason for which there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum CreateChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The name or the events are not valid.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The team has as many channels as it can.
    #[error(transparent)]
    TooMany(#[from] TooManyChannels),
    /// The database failed.
    #[error("the channel could not be stored")]
    Store(#[from] StoreError),
}

impl From<StoreCreateError> for CreateChannelError {
    fn from(error: StoreCreateError) -> Self {
        match error {
            StoreCreateError::TooMany(error) => Self::TooMany(error),
            StoreCreateError::Team(TeamChangeError::Store(error)) => Self::Store(error),
            // The role was lost, or the team deleted, after permission was given.
            StoreCreateError::Team(TeamChangeError::Refused(TeamRefusal::RoleTooLow(role))) => {
                Self::Enter(Denial::Role(role).into())
            }
            StoreCreateError::Team(TeamChangeError::Refused(_)) => Self::Enter(Denial::NoTeam.into()),
        }
    }
}

/// A channel that somebody wants.
#[derive(Debug, Clone)]
pub struct ChannelRequest {
    /// Name for people.
    pub name: String,
    /// Kind of the receiver.
    pub provider: ChannelProvider,
    /// Fields of the configuration.
    pub config: BTreeMap<String, String>,
    /// Events that are sent.
    pub events: Vec<ChannelEvent>,
}

/// Makes a channel; returns its record, and for a webhook the key that signs, which is not shown again.
///
/// # Errors
/// See [`CreateChannelError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    request: ChannelRequest,
) -> Result<(Channel, Option<SigningSecret>), CreateChannelError> {
    let pass = control.enter(principal, Action::ChannelCreate).await?;
    let id = ChannelId::new();
    let intent = pass.intent().of(id).with("provider", request.provider);
    let created: Result<_, CreateChannelError> = async {
        let name = request.name.trim();
        limits::check_name("name", name)?;
        let events = channel::check_events(&request.events)?;
        let target = target(control, request.provider, &request.config)?;
        let configured_by = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
        let secret = target.secret.clone();
        let new =
            NewChannel { id, team_id: pass.team(), name: name.to_owned(), events, target, configured_by };
        Ok((control.store().channel_create(&new, &intent).await?, secret))
    }
    .await;
    let (channel, secret) = control.audited(intent, created).await?;
    tracing::info!(channel_id = %channel.id, team_id = %channel.team_id, "channel created");
    Ok((channel, secret))
}

/// Reads a configuration, and makes the key of a webhook.
pub(crate) fn target(
    control: &Control,
    provider: ChannelProvider,
    fields: &BTreeMap<String, String>,
) -> Result<Target, ConfigError> {
    let config = ChannelConfig::read(provider, fields)?;
    let is_signed = provider == ChannelProvider::Webhook;
    let secret = is_signed.then(|| SigningSecret(format!("whsec_{}", secret::token(control.rng()))));
    Ok(Target { config, secret })
}
