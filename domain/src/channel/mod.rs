//! Notification channels: receivers to which a team's events are sent.
//!
//! ```text
//!   outbox ─▶ delivery ─▶ request(config, notification) ─▶ Outgoing ─▶ Receivers::may_ask(address) ─▶ receiver
//! ```
//!
//! | module | rules |
//! |---|---|
//! | [`config`] | the fields of a configuration, per provider |
//! | [`message`] | the request that a receiver gets |
//! | [`address`] | the addresses to which requests may be sent |

pub mod address;
pub mod config;
pub mod message;

use std::time::Duration;

use chrono::{DateTime, Utc};

use self::config::ChannelConfig;
use crate::{
    ids::{ChannelId, TeamId, UserId},
    lifecycle::{End, Lifecycle, SandboxStatus},
    limits::{LimitError, MAX_CHANNELS},
    word::words,
};

/// Time for which a delivery is attempted.
pub const ATTEMPTED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Time without a success after which a channel is switched off.
pub const FAILING_FOR: Duration = Duration::from_secs(3 * 24 * 3600);
/// Least failed attempts of a channel that is switched off for its failures.
pub const MIN_FAILURES: u32 = 20;
/// Deliveries that may wait for one channel; a channel with more is switched off.
pub const MAX_WAITING: u32 = 10_000;

words! {
    /// Kind of a receiver.
    ChannelProvider, "channel provider" {
        /// Discord, by a webhook of a channel.
        Discord = "discord",
        /// Slack, or what understands its incoming webhooks.
        Slack = "slack",
        /// Microsoft Teams, by a workflow or an incoming webhook.
        Teams = "teams",
        /// Google Chat, by a webhook of a space.
        GoogleChat = "googlechat",
        /// Telegram, by a bot.
        Telegram = "telegram",
        /// A room of Matrix.
        Matrix = "matrix",
        /// A program that checks signatures.
        Webhook = "webhook",
    }
}

words! {
    /// Event for which a channel can be told.
    ChannelEvent, "channel event" {
        /// A capsule was created; its start is in flight.
        CapsuleCreated = "capsule.created",
        /// A capsule began to run, or is found running again.
        CapsuleRunning = "capsule.running",
        /// A capsule was paused.
        CapsulePaused = "capsule.paused",
        /// A capsule is gone.
        CapsuleDestroyed = "capsule.destroyed",
        /// A template is ready.
        TemplateCreated = "template.snapshot.created",
        /// A template can no longer be used.
        TemplateDeleted = "template.snapshot.deleted",
        /// A host attached for the first time, or after it was down.
        HostUp = "host.up",
        /// A host counts as unreachable.
        HostDown = "host.down",
    }
}

impl ChannelEvent {
    /// Returns the event of a capsule's step from `before` to `after`.
    pub fn of_step(before: &Lifecycle, after: &Lifecycle) -> Option<Self> {
        let is_paused = |status| matches!(status, SandboxStatus::Paused | SandboxStatus::Hibernated);
        if after.end == End::Reached {
            return (before.end != End::Reached).then_some(Self::CapsuleDestroyed);
        }
        match after.status {
            status if status == before.status => None,
            SandboxStatus::Running => Some(Self::CapsuleRunning),
            status if is_paused(status) && !is_paused(before.status) => Some(Self::CapsulePaused),
            _ => None,
        }
    }
}

/// Checks the events of a channel; returns each of them once.
///
/// # Errors
/// If there is none.
pub fn check_events(events: &[ChannelEvent]) -> Result<Vec<ChannelEvent>, LimitError> {
    if events.is_empty() {
        let wrong = format!("must have at least one event, for example `{}`", ChannelEvent::CapsuleRunning);
        return Err(LimitError { field: "events", wrong });
    }
    let known = ChannelEvent::ALL.iter().copied();
    Ok(known.filter(|event| events.contains(event)).collect())
}

/// A channel's record, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// The team to which it belongs.
    pub team_id: TeamId,
    /// Name for people.
    pub name: String,
    /// Kind of the receiver.
    pub provider: ChannelProvider,
    /// Events that are sent, at least one.
    pub events: Vec<ChannelEvent>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// When it was switched off because its receiver fails; `None` if it is on.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Reason of the last failure; `None` after a success.
    pub last_error: Option<String>,
}

/// Destination of a channel, with everything that is secret.
#[derive(Debug, Clone)]
pub struct Target {
    /// Address and credentials.
    pub config: ChannelConfig,
    /// Key that signs deliveries; for webhooks alone.
    pub secret: Option<SigningSecret>,
}

/// Key that signs deliveries, which is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(pub String);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// Content of a new channel's record.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// Its id.
    pub id: ChannelId,
    /// The team to which it belongs.
    pub team_id: TeamId,
    /// Name for people.
    pub name: String,
    /// Events that are sent, at least one.
    pub events: Vec<ChannelEvent>,
    /// Destination.
    pub target: Target,
    /// The user who makes it.
    pub configured_by: UserId,
}

/// A team has as many channels as a team can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the team has {MAX_CHANNELS} channels, which is the maximum; delete one first")]
pub struct TooManyChannels;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_an_event_if_it_leads_to_another_state_that_channels_know() {
        use SandboxStatus::{Error, Hibernated, Missing, Paused, Running, Starting, Stopped};
        let life = |status| Lifecycle { status, operation: None, ..Lifecycle::first() };
        for (before, after, expected) in [
            (Starting, Running, Some(ChannelEvent::CapsuleRunning)),
            (Running, Running, None),
            (Running, Paused, Some(ChannelEvent::CapsulePaused)),
            (Paused, Hibernated, None),
            (Hibernated, Running, Some(ChannelEvent::CapsuleRunning)),
            (Running, Missing, None),
            (Missing, Running, Some(ChannelEvent::CapsuleRunning)),
            (Running, Stopped, None),
            (Starting, Error, None),
        ] {
            assert_eq!(ChannelEvent::of_step(&life(before), &life(after)), expected, "{before} {after}");
            let gone = Lifecycle { end: End::Reached, ..life(after) };
            assert_eq!(ChannelEvent::of_step(&life(before), &gone), Some(ChannelEvent::CapsuleDestroyed));
            assert_eq!(ChannelEvent::of_step(&gone, &gone), None);
        }
    }
}
