//! Sandboxes: the state machine, and the actor that lives it.

mod actor;
mod messages;
mod writes;

pub use messages::{TemplateDefaults, TemplateOrder, Until};

pub(crate) use actor::SandboxActor;
pub(crate) use messages::{
    CaughtUp, InjectPanic, Observe, Operate, OperationRequest, PauseIfIdle, PrepareUse, RowRead, SetTimeout,
    UnlessBegun, UseTarget, Wait,
};
