//! The error that pausing, resuming, changing and making a template of a sandbox have in common.

use wrenn_actors::OperationError;
use wrenn_domain::ids::SandboxId;
use wrenn_store::StoreError;

use crate::EnterError;

/// The reason for which an operation on a sandbox did not lead to what was wanted.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such sandbox.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    /// The sandbox was destroyed.
    #[error("capsule {0} was destroyed; create another one")]
    Destroyed(SandboxId),
    /// The operation was refused, failed, or is not known to have ended.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The database failed.
    #[error("the capsule could not be read")]
    Store(#[source] StoreError),
}
