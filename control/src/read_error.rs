//! The error of use cases that only read.

use wrenn_domain::admission::EnterError;
use wrenn_store::StoreError;

/// The reason for which nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The database failed.
    #[error("the database could not be read")]
    Store(#[from] StoreError),
}
