//! What a sandbox's actor can be told and asked.

use actix::Message;
use tokio::sync::oneshot;
use wrenn_proto::ids::HostId;
use wrenn_store::{
    StoreError,
    lifecycle::{Lifecycle, Operation},
    sandboxes::Sandbox,
};

use super::state::{Input, Refusal};

/// A client wants an operation. Answered when it is begun (or was already), not when it is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, OperateFailure>")]
pub(crate) struct Operate(pub(crate) Operation);

/// Why an operation was not begun.
#[derive(Debug)]
pub(crate) enum OperateFailure {
    /// There is no such sandbox.
    NotFound,
    /// The state machine refused it.
    Refused(Refusal),
    /// The database did not answer; the actor reads its row again.
    Store(StoreError),
    /// Somebody else wrote the row; the actor reads it again.
    Overtaken,
}

/// Something was seen or came back from the host. Never lost while the actor lives: what it leads to is
/// written as soon as the database answers.
///
/// Counts only if it comes from the host that the sandbox is on: no host speaks for another one's machines.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Observe {
    /// Who says so.
    pub(crate) from: HostId,
    pub(crate) input: Input,
}

/// Answered when everything that was sent before has been handled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CaughtUp;

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// No operation is in flight.
    Settled,
    /// It is gone, or its removal failed.
    Gone,
}

/// What was waited for; none if there is no such sandbox.
pub(crate) type WaitAnswer = Option<Sandbox>;

/// A client waits. The answer comes over `reply`, so that it survives a restart of the actor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wait {
    pub(crate) until: Until,
    pub(crate) reply: oneshot::Sender<WaitAnswer>,
}

/// A client wants to run a command; counts as activity if it may.
#[derive(Debug, Message)]
#[rtype(result = "ExecTarget")]
pub(crate) struct PrepareExec;

/// Whether and where a command can be run.
#[derive(Debug, actix::MessageResponse)]
pub(crate) enum ExecTarget {
    /// There is no such sandbox.
    NotFound,
    /// It does not run, or not settled.
    NotRunning(Lifecycle),
    /// It runs there.
    On(HostId),
}

/// The handler of this message panics. Sent only where fault injection is on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct InjectPanic;
