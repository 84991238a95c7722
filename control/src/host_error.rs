//! The error of use cases about one host.

use wrenn_domain::{
    admission::EnterError, host::HostRefusal, ids::HostId, limits::LimitError, permission::Denial,
};
use wrenn_store::{StoreError, host_changes::ChangeHostError};

/// The reason for which a host is not shown, or stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such host, or the principal does not see it.
    #[error("there is no host {0}")]
    NotFound(HostId),
    /// A value is not valid.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The rules for hosts do not allow it.
    #[error(transparent)]
    Refused(#[from] HostRefusal),
    /// The database failed.
    #[error("the host could not be read or written")]
    Store(#[from] StoreError),
}

impl From<ChangeHostError> for HostError {
    fn from(error: ChangeHostError) -> Self {
        match error {
            ChangeHostError::Refused(HostRefusal::Gone(host)) => Self::NotFound(host),
            ChangeHostError::Refused(refusal) => Self::Refused(refusal),
            ChangeHostError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Denial> for HostError {
    fn from(denial: Denial) -> Self {
        Self::Enter(denial.into())
    }
}
