//! Sandboxes: the state machine, and the actor that lives it.

mod actor;
#[cfg(test)]
mod exhaustive;
pub mod invariants;
mod messages;
pub mod state;

pub use messages::Until;
pub use state::Refusal;

pub(crate) use actor::SandboxActor;
pub(crate) use messages::{
    CaughtUp, ExecTarget, InjectPanic, Observe, Operate, OperateFailure, PrepareExec, Wait,
};
