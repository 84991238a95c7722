//! Sandboxes: the state machine, and the actor that lives it.

mod actor;
mod directory;
mod handlers;
mod load;
mod messages;
mod writes;

pub use messages::{TemplateDefaults, TemplateOrder, Until};

pub(crate) use actor::SandboxActor;
pub(crate) use directory::{ANSWER_WITHIN, SandboxDirectory};
pub(crate) use load::SandboxParts;
pub(crate) use messages::{
    CaughtUp, InjectPanic, Observe, Operate, OperationRequest, PauseIfIdle, PrepareUse, RowRead, SetTimeout,
    UnlessBegun, UseTarget, Wait,
};
