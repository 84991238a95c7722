//! Notification channels of the caller's team.

pub(crate) mod configure;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod test;
pub(crate) mod update;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_domain::channel::{Channel, ChannelEvent, ChannelProvider, SigningSecret};

/// Kind of a channel's receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChannelProvider)]
pub(crate) enum Provider {
    /// Discord, by a webhook of a channel.
    Discord,
    /// Slack, or what understands its incoming webhooks.
    Slack,
    /// Microsoft Teams, by a workflow or an incoming webhook.
    Teams,
    /// Google Chat, by a webhook of a space.
    GoogleChat,
    /// Telegram, by a bot.
    Telegram,
    /// A room of Matrix.
    Matrix,
    /// A program that checks signatures.
    Webhook,
}

impl From<ChannelProvider> for Provider {
    fn from(provider: ChannelProvider) -> Self {
        match provider {
            ChannelProvider::Discord => Self::Discord,
            ChannelProvider::Slack => Self::Slack,
            ChannelProvider::Teams => Self::Teams,
            ChannelProvider::GoogleChat => Self::GoogleChat,
            ChannelProvider::Telegram => Self::Telegram,
            ChannelProvider::Matrix => Self::Matrix,
            ChannelProvider::Webhook => Self::Webhook,
        }
    }
}

impl From<Provider> for ChannelProvider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Discord => Self::Discord,
            Provider::Slack => Self::Slack,
            Provider::Teams => Self::Teams,
            Provider::GoogleChat => Self::GoogleChat,
            Provider::Telegram => Self::Telegram,
            Provider::Matrix => Self::Matrix,
            Provider::Webhook => Self::Webhook,
        }
    }
}

/// Event for which a channel can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelEvent)]
pub(crate) enum Event {
    /// A capsule was created.
    #[serde(rename = "capsule.created")]
    CapsuleCreated,
    /// A capsule began to run, or is found running again.
    #[serde(rename = "capsule.running")]
    CapsuleRunning,
    /// A capsule was paused.
    #[serde(rename = "capsule.paused")]
    CapsulePaused,
    /// A capsule is gone.
    #[serde(rename = "capsule.destroyed")]
    CapsuleDestroyed,
    /// A template is ready.
    #[serde(rename = "template.snapshot.created")]
    TemplateCreated,
    /// A template was deleted or replaced.
    #[serde(rename = "template.snapshot.deleted")]
    TemplateDeleted,
    /// A host attached for the first time, or after it was down.
    #[serde(rename = "host.up")]
    HostUp,
    /// A host cannot be reached.
    #[serde(rename = "host.down")]
    HostDown,
}

impl From<ChannelEvent> for Event {
    fn from(event: ChannelEvent) -> Self {
        match event {
            ChannelEvent::CapsuleCreated => Self::CapsuleCreated,
            ChannelEvent::CapsuleRunning => Self::CapsuleRunning,
            ChannelEvent::CapsulePaused => Self::CapsulePaused,
            ChannelEvent::CapsuleDestroyed => Self::CapsuleDestroyed,
            ChannelEvent::TemplateCreated => Self::TemplateCreated,
            ChannelEvent::TemplateDeleted => Self::TemplateDeleted,
            ChannelEvent::HostUp => Self::HostUp,
            ChannelEvent::HostDown => Self::HostDown,
        }
    }
}

impl From<Event> for ChannelEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::CapsuleCreated => Self::CapsuleCreated,
            Event::CapsuleRunning => Self::CapsuleRunning,
            Event::CapsulePaused => Self::CapsulePaused,
            Event::CapsuleDestroyed => Self::CapsuleDestroyed,
            Event::TemplateCreated => Self::TemplateCreated,
            Event::TemplateDeleted => Self::TemplateDeleted,
            Event::HostUp => Self::HostUp,
            Event::HostDown => Self::HostDown,
        }
    }
}

/// A notification channel. Its configuration is not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelResponse {
    #[schema(example = "ch-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    team_id: String,
    name: String,
    provider: Provider,
    events: Vec<Event>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Time at which the channel was switched off because its receiver fails; null while it is on. A change of the channel
    /// or its configuration switches it on.
    #[schema(required = true)]
    disabled_at: Option<DateTime<Utc>>,
    /// Reason of the last failure; null after a success.
    #[schema(required = true)]
    last_error: Option<String>,
    /// Key with which deliveries to a webhook are signed; only in the answers to its creation and to a new configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    secret: Option<String>,
}

impl ChannelResponse {
    fn new(channel: Channel, secret: Option<SigningSecret>) -> Self {
        Self {
            id: channel.id.to_string(),
            team_id: channel.team_id.to_string(),
            name: channel.name,
            provider: channel.provider.into(),
            events: channel.events.into_iter().map(Into::into).collect(),
            created_at: channel.created_at,
            updated_at: channel.updated_at,
            disabled_at: channel.disabled_at,
            last_error: channel.last_error,
            secret: secret.map(|secret| secret.0),
        }
    }
}

/// Returns the events of a request.
fn events(events: &[Event]) -> Vec<ChannelEvent> {
    events.iter().copied().map(Into::into).collect()
}
