//! Asking an actor and knowing what an error means for the message.

use std::time::Duration;

use actix::{Actor, Addr, Handler, Message, dev::ToEnvelope};
use tokio::time::timeout;

use crate::core::ChildCore;

/// Why a call has no answer. What matters to a caller is whether the message may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The actor has as many unanswered calls as it accepts; certainly not executed.
    #[error("the actor is busy: it has too many unanswered calls")]
    Full,
    /// The actor had ended before; certainly not executed.
    #[error("the actor has ended")]
    NotDelivered,
    /// The message was delivered and will never be answered: its handler panicked, or the actor was restarted or
    /// ended before it answered.
    #[error("the actor failed before it answered; the request may have been executed")]
    MayHaveExecuted,
    /// No answer in time. The message may have been executed, or may yet be if its handler has begun.
    #[error("the actor did not answer in time; the request may have been executed")]
    TimedOut,
}

impl CallError {
    /// Returns true if the message had no effect and never will, so that it can be sent again without harm.
    pub fn certainly_not_executed(self) -> bool {
        matches!(self, Self::Full | Self::NotDelivered)
    }
}

/// Sends `msg` and waits for the answer, however long that takes.
///
/// Never waits for room: a supervised actor accepts [`ChildSpec::capacity`](crate::ChildSpec::capacity) unanswered
/// calls, from whatever addresses, and refuses the next with [`CallError::Full`]. (actix's own bound grants one more
/// message to every clone of an address, so it bounds nothing; it is what an unsupervised actor gets.)
///
/// The message is sent when the future is polled first. Dropping the future gives the call up: actix skips the message
/// if its handler has not begun, and lets it finish otherwise.
///
/// # Errors
/// See [`CallError`]; a restart of the actor does not fail calls that are still queued.
pub async fn call<A, M>(addr: &Addr<A>, msg: M) -> Result<M::Result, CallError>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let permit = match ChildCore::of_address(addr) {
        Some(core) => Some(core.calls.clone().try_acquire_owned().map_err(|_| CallError::Full)?),
        None => None,
    };
    if !addr.connected() {
        return Err(CallError::NotDelivered);
    }
    // Should the actor end right here, the answer is the careful one.
    let answer = addr.send(msg).await.map_err(|_| CallError::MayHaveExecuted);
    drop(permit);
    answer
}

/// Sends `msg` and waits for the answer for at most `within`; otherwise as [`call`].
///
/// # Errors
/// See [`CallError`].
pub async fn call_within<A, M>(addr: &Addr<A>, msg: M, within: Duration) -> Result<M::Result, CallError>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    timeout(within, call(addr, msg)).await.unwrap_or(Err(CallError::TimedOut))
}
