//! The reasons for which a use case does not begin: no permission, or too much to do.

use crate::permission::Denial;

/// The reason for which a use case did not begin. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// The principal may not do it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There is too much to do.
    #[error(transparent)]
    Overload(#[from] Overload),
}

/// Refusal of a request that would have waited too long. The request was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overload {
    /// The server is saturated, and the team has no more than its share of it.
    #[error("the server has too much to do; nothing was done, so try again in {retry_after_sec} s")]
    Server {
        /// Expected wait, in seconds; at least 1.
        retry_after_sec: u64,
    },
    /// The server is saturated, and the team holds more than its share while others are active.
    #[error(
        "the team has more requests in progress than its share; nothing was done, so try again in {retry_after_sec} s"
    )]
    Team {
        /// Expected wait, in seconds; at least 1.
        retry_after_sec: u64,
    },
}
