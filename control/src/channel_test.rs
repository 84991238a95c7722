//! Sends a test to a destination that no channel has yet.

use std::collections::BTreeMap;

use serde_json::json;
use wrenn_actors::SendError;
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    channel::{
        ChannelProvider,
        config::ConfigError,
        message::{Notification, TEST},
    },
    ids::EventId,
    permission::Denial,
    principal::Principal,
};

use crate::{Control, auth::rate_limit::TooMany, channel_create::target};

/// The reason for which the test did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TestChannelError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The user has sent too many tests.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The receiver did not take it.
    #[error("config: the test did not arrive: {0}")]
    NotDelivered(#[from] SendError),
}

/// Sends a test once, and waits for the outcome. A webhook's test is signed with a key that nobody knows.
///
/// # Errors
/// See [`TestChannelError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    provider: ChannelProvider,
    fields: &BTreeMap<String, String>,
) -> Result<(), TestChannelError> {
    let pass = control.enter(principal, Action::ChannelTest).await?;
    let user = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
    let target = target(control, provider, fields)?;
    control.shared.rate_limits.channel_tests.take(user)?;
    let data = json!({"message": "This is a test of a notification channel."});
    let notification = Notification {
        id: EventId::new(),
        event: TEST.to_owned(),
        created_at: control.clock().utc(),
        team_id: pass.team(),
        data: data.as_object().cloned().unwrap_or_default(),
    };
    // No place is held while the receiver is waited for.
    drop(pass);
    Ok(control.actors().notify(&target, &notification).await?)
}
