//! Sandboxes: the state machine, and the actor that lives it.

mod actor;
#[cfg(test)]
mod exhaustive;
pub mod invariants;
mod messages;
pub mod state;
mod step;

pub use messages::{TemplateDefaults, TemplateOrder, Until};
pub use state::{Memory, Refusal};
pub use step::step;

pub(crate) use actor::SandboxActor;
pub(crate) use messages::{
    CaughtUp, InjectPanic, Observe, Operate, OperateFailure, PauseIfIdle, PrepareUse, RowRead, UseTarget,
    Wait, Wanted,
};
