//! Why an actor failed, and why it ended.

use std::{any::Any, fmt, time::Duration};

use actix::Message;

/// One failure of one incarnation; it leads to a restart or, past the limit, to an escalation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The actor panicked: in a hook, a handler, a timer or a future of its context. Holds the panic's message.
    #[error("panicked: {0}")]
    Panic(String),
    /// The actor declared that it cannot go on, see [`SupervisedContext::fail`](crate::SupervisedContext::fail).
    #[error("declared: {0}")]
    Declared(String),
}

impl Failure {
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        Self::Panic(panic_message(payload))
    }
}

/// Takes the text out of a panic's payload.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            // Foreign payloads may do anything when dropped, even panic; a small leak is the lesser harm.
            Err(payload) => {
                std::mem::forget(payload);
                "panic payload is not text".to_owned()
            }
        },
    }
}

/// Why an actor ended. It ends exactly once; restarts are not ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The actor stopped itself (`ctx.stop()` or `ctx.terminate()`), and is not restarted. Also when a panic
    /// came after it had begun to stop; the panic is then logged and counted.
    Stopped,
    /// [`Child::kill`](crate::Child::kill) or [`ChildHandle::kill`](crate::ChildHandle::kill) was called.
    Killed,
    /// It failed more often than its [`RestartLimit`](crate::RestartLimit) allows. This is an escalation.
    RestartLimitExceeded {
        /// The failures within the window, oldest first; the last one had no restart.
        failures: Vec<Failure>,
        /// The span of time within which they happened, at most the limit's window.
        within: Duration,
    },
    /// The factory panicked, so there never was an actor to restart. This is an escalation.
    StartFailed(Failure),
    /// Its task was dropped from outside: its arbiter ended, or had already ended when it was to be started.
    Aborted,
}

impl ExitReason {
    /// Returns true if the parent has to act: the actor failed for good.
    pub fn is_escalation(&self) -> bool {
        matches!(self, Self::RestartLimitExceeded { .. } | Self::StartFailed(_))
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Killed => f.write_str("killed"),
            Self::RestartLimitExceeded { failures, within } => {
                write!(f, "failed {} times within {within:?}", failures.len())?;
                failures.last().map_or(Ok(()), |last| write!(f, ", at last it {last}"))
            }
            Self::StartFailed(failure) => write!(f, "could not be started: {failure}"),
            Self::Aborted => f.write_str("aborted with its arbiter"),
        }
    }
}

/// Tells a parent that a child ended; sent once, after the actor was dropped and its mailbox closed.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// The kind of the child, as in its [`ChildSpec`](crate::ChildSpec).
    pub kind: &'static str,
    /// The name of the child, as in its [`ChildSpec`](crate::ChildSpec).
    pub name: String,
    /// Why it ended.
    pub reason: ExitReason,
}
