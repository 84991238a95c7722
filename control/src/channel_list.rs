//! Lists the notification channels of the principal's team.

use wrenn_domain::{action::Action, channel::Channel, principal::Principal};

use crate::{Control, read_error::ReadError};

/// Returns the channels' records, oldest first.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(control: &Control, principal: &Principal) -> Result<Vec<Channel>, ReadError> {
    let pass = control.enter(principal, Action::ChannelList).await?;
    Ok(control.store().channel_list(pass.team()).await?)
}
