//! What a sandbox's actor can be told and asked.

use std::collections::BTreeMap;

use actix::Message;
use tokio::sync::oneshot;
use wrenn_domain::{
    audit::AuditIntent,
    lifecycle::Lifecycle,
    sandbox::{
        Sandbox,
        state::{Input, Memory, Request},
    },
    template::{OnConflict, TemplateKind, TemplateOrigin, TemplateSource},
};
use wrenn_proto::ids::{HostId, TemplateId};

use crate::OperationError;

/// A client wants an operation. Answered when it is begun (or was already), not when it is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, OperationError>")]
pub(crate) struct Operate {
    pub(crate) wanted: OperationRequest,
    /// The audit entry that is written with the beginning.
    pub(crate) intent: AuditIntent,
    pub(crate) unless_begun: UnlessBegun,
}

/// Fate of the audit entry of a request that begins nothing, because the sandbox is as wanted, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnlessBegun {
    /// The entry is written all the same: a client asked for the change.
    Write,
    /// The entry is left out: a use of the sandbox would only have woken it.
    Skip,
}

/// An operation that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperationRequest {
    /// That it is paused.
    Pause,
    /// That it runs.
    Resume(Memory),
    /// A template of it.
    Template(TemplateOrder),
    /// That it is gone.
    Destroy,
}

impl OperationRequest {
    /// Returns the state machine's word for it.
    pub(crate) fn request(&self) -> Request {
        match self {
            Self::Pause => Request::Pause,
            Self::Resume(memory) => Request::Resume(*memory),
            Self::Template(TemplateOrder { id, source, .. }) => match source.kind() {
                TemplateKind::Snapshot => Request::Snapshot(*id),
                TemplateKind::Base => Request::Flatten(*id),
            },
            Self::Destroy => Request::Destroy,
        }
    }
}

/// The template that is wanted of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateOrder {
    /// Its id; the same order twice makes one template.
    pub id: TemplateId,
    /// Its name, in the sandbox's team.
    pub name: String,
    /// What it is made of.
    pub source: TemplateSource,
    /// What becomes of a template of that name.
    pub on_conflict: OnConflict,
    /// Whose work it is, and what it is for.
    pub origin: TemplateOrigin,
    /// What its capsules have; those of the sandbox if none are said.
    pub defaults: Option<TemplateDefaults>,
}

impl TemplateOrder {
    /// The order of a client.
    pub fn of_client(id: TemplateId, name: String, source: TemplateSource, on_conflict: OnConflict) -> Self {
        Self { id, name, source, on_conflict, origin: TemplateOrigin::Client, defaults: None }
    }
}

/// What the capsules of a template have, as far as they say nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateDefaults {
    /// User of commands that name none.
    pub user: String,
    /// Environment of every command.
    pub env: BTreeMap<String, String>,
}

/// Sets the idle time after which the sandbox is paused.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, OperationError>")]
pub(crate) struct SetTimeout {
    pub(crate) timeout_sec: u32,
    /// The audit entry that is written with it.
    pub(crate) intent: AuditIntent,
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

/// The reconciler has just read the row. An actor that knows another one reads it again: a write that an incarnation
/// before it had sent may have been committed after it had read, and nothing else would tell it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RowRead(pub(crate) Lifecycle);

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

/// As far as is written nobody has used it for as long as its timeout: if that is so, it is paused.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PauseIfIdle;

/// A client wants to use the machine, or says that it still wants it; counts as activity if it may.
#[derive(Debug, Message)]
#[rtype(result = "UseTarget")]
pub(crate) struct PrepareUse;

/// Whether and where the machine can be used.
#[derive(Debug, actix::MessageResponse)]
pub(crate) enum UseTarget {
    /// There is no such sandbox.
    NotFound,
    /// It does not run, or not settled.
    NotRunning {
        /// What it does instead.
        lifecycle: Lifecycle,
        /// Whether it may be woken by who wants to use it.
        auto_resume: bool,
    },
    /// Another server speaks for its host.
    Elsewhere(HostId),
    /// It runs there.
    On(HostId),
}

/// The handler of this message panics. Sent only where fault injection is on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct InjectPanic;
