//! Shows the usage of the principal's team, by day.

use wrenn_domain::{
    action::Action,
    admission::EnterError,
    limits::LimitError,
    principal::Principal,
    statistics::{UsageDay, UsagePeriod},
};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which no usage is shown.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The dates are no period.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The database failed.
    #[error("the usage could not be read")]
    Store(#[from] StoreError),
}

/// Returns the period from one date to another, both included, and the usage of each of its days that has begun. The
/// usage of today grows with each sample.
///
/// # Errors
/// See [`UsageError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(UsagePeriod, Vec<UsageDay>), UsageError> {
    let pass = control.enter(principal, Action::SandboxUsage).await?;
    let today = control.store().database_time().await?.date_naive();
    let period = UsagePeriod::new(from, to, today)?;
    let known = control.store().team_usage(pass.team(), &period).await?;
    Ok((period, period.points(&known)))
}
