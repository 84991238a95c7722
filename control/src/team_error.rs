//! The error of use cases that change a team, its members or its invitations.

use wrenn_domain::{admission::EnterError, limits::LimitError, permission::Denial, team::TeamRefusal};
use wrenn_store::{StoreError, membership::TeamChangeError as StoreChangeError};

/// The reason for which a team, its members and its invitations are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum TeamChangeError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// A name or an address is not valid.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The rules for teams do not allow the change.
    #[error(transparent)]
    Refused(#[from] TeamRefusal),
    /// The database failed.
    #[error("the team could not be read or written")]
    Store(#[from] StoreError),
}

impl From<StoreChangeError> for TeamChangeError {
    fn from(error: StoreChangeError) -> Self {
        match error {
            StoreChangeError::Refused(refusal) => Self::Refused(refusal),
            StoreChangeError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Denial> for TeamChangeError {
    fn from(denial: Denial) -> Self {
        Self::Enter(denial.into())
    }
}
