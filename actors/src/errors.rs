//! Why an operation of the control plane failed: one type per operation.

use wrenn_domain::{
    admission::EnterError,
    lifecycle::{Operation, SandboxStatus},
    placement::Shortage,
    quota::NotAdmitted,
    sandbox::Refusal,
    template::TemplateNameError,
};
use wrenn_proto::{
    agent::TunnelErrorKind,
    ids::{HostId, SandboxId},
};
use wrenn_store::StoreError;
use wrenn_supervision::CallError;

use crate::{build::QueueError, objects::ObjectError};

/// Why the control plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The threads for the actors could not be made.
    #[error("cannot start the actors' threads")]
    Arbiters(#[source] wrenn_supervision::PoolError),
    /// What is to be taken up again could not be read.
    #[error("cannot read what the last run left")]
    Store(#[source] StoreError),
    /// The address of the queue is none.
    #[error("REDIS_URL is not valid")]
    Queue(#[source] QueueError),
    /// The place for objects could not be opened.
    #[error("cannot open the place for objects")]
    Objects(#[source] ObjectError),
    /// The thread that watches the others could not be made.
    #[error("cannot start the watchdog")]
    Watchdog(#[source] std::io::Error),
}

/// Why a sandbox was not created. Nothing is left of it, except after `Unanswered`.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No host that the team may use is attached.
    #[error("no host is available")]
    NoHost,
    /// The team runs on its own hosts, and none of them takes sandboxes now.
    #[error("the team runs on its own hosts only, and none of them is attached and takes new capsules")]
    NoOwnHost,
    /// The template was made on the team's own hosts, and the team runs on the platform's.
    #[error(
        "the template was made on the team's own hosts and runs only there, and the team runs on the platform's hosts"
    )]
    OwnHostsOnly,
    /// There are hosts, and none has room for it.
    #[error("no host has room: {0}")]
    NothingFits(Shortage),
    /// Since a moment ago the chosen host is attached to another server, drained, deleted, or not for the team any more.
    #[error(
        "host {0} has just changed: it is attached to another server, drained, or not for this team; try again"
    )]
    HostMoved(HostId),
    /// It was for a build that does not want it any more.
    #[error("the build is over")]
    BuildOver,
    /// The team may not use as much.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The row could not be written, for example because a size is out of range.
    #[error("cannot write the new sandbox")]
    Store(#[source] StoreError),
    /// The placement actor did not answer; if the sandbox was made it is in the list.
    #[error("placement failed")]
    Unanswered(#[source] CallError),
}

/// Why waiting for a sandbox ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// There is no such sandbox.
    #[error("there is no sandbox {0}")]
    NotFound(SandboxId),
    /// The time is over; the sandbox goes on.
    #[error("sandbox {0} did not settle in time")]
    TimedOut(SandboxId),
    /// Its actor failed again and again; the sandbox goes on.
    #[error("the actor of sandbox {0} does not answer")]
    Unanswered(SandboxId, #[source] CallError),
}

/// Why a sandbox is not known to be gone. Except after `NotFound` and `Failed` it will be
/// gone once its host can be reached and the database answers.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// There is no such sandbox.
    #[error("there is no sandbox {0}")]
    NotFound(SandboxId),
    /// Its host is not attached; what is left is done when it is back.
    #[error("host {host} is away; sandbox {sandbox} will be removed when it is back")]
    HostAway {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its host.
        host: HostId,
    },
    /// Its host is attached to another server; nothing was begun.
    #[error("host {host} of sandbox {sandbox} is attached to another server")]
    Elsewhere {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its host.
        host: HostId,
    },
    /// Its host tried and failed; asking again tries again.
    #[error("the host could not remove the machine: {0}")]
    Failed(String),
    /// The time is over; the removal goes on.
    #[error("sandbox {0} was not removed in time; its removal goes on")]
    TimedOut(SandboxId),
    /// Its row could not be read or written.
    #[error("cannot read or write the sandbox")]
    Store(#[source] StoreError),
    /// Its actor failed while it handled the request, which may have been executed.
    #[error("the actor of sandbox {0} did not answer")]
    Unanswered(SandboxId, #[source] CallError),
}

/// Why a command cannot be run in a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SessionOpenError {
    /// There is no such sandbox.
    #[error("there is no sandbox {0}")]
    NotFound(SandboxId),
    /// It does not run, or not settled.
    #[error("the sandbox is {status}{}", .operation.map(|operation| format!(" ({operation})")).unwrap_or_default())]
    InvalidState {
        /// Its settled state.
        status: SandboxStatus,
        /// What is in flight.
        operation: Option<Operation>,
    },
    /// Its host is not attached, or has too much to do.
    #[error("host {0} is not available")]
    HostUnavailable(HostId),
    /// Its host is attached to another server.
    #[error("host {0} is attached to another server")]
    Elsewhere(HostId),
    /// The host could not open the way to the machine.
    #[error("the host could not reach the machine: {message}")]
    Refused {
        /// What is wrong.
        kind: TunnelErrorKind,
        /// For people.
        message: String,
    },
    /// The host did not open the way in time.
    #[error("host {0} did not answer in time")]
    TimedOut(HostId),
    /// The row could not be read.
    #[error("cannot read the sandbox")]
    Store(#[source] StoreError),
    /// An actor failed while it handled the request; the machine was told nothing.
    #[error("an actor did not answer")]
    Unanswered(#[source] CallError),
    /// It sleeps, and could not be woken.
    #[error("the sandbox is paused and could not be resumed")]
    Wake(#[source] Box<OperationError>),
}

/// Why a session ended before its last event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The machine, or its guest, failed.
    #[error("the machine failed: {message}")]
    Machine {
        /// What is wrong.
        kind: TunnelErrorKind,
        /// For people.
        message: String,
    },
    /// The link to the host ended; what became of what was begun is not known.
    #[error("the link to the host was lost")]
    LinkLost,
    /// The principal lost its permission: it left the team, its key or token ended, or the account was switched off.
    #[error("the permission has been revoked; sign in again, or use another key")]
    Revoked,
}

/// Why a sandbox was not found, changed, paused or resumed, or no template was made of it: the error of these use cases,
/// which an actor answers with as it is.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such sandbox, or it is another team's.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    /// The sandbox is gone, at the wish of somebody.
    #[error("capsule {0} was destroyed; create another one")]
    Destroyed(SandboxId),
    /// The state machine refused it; nothing changed.
    #[error(transparent)]
    Refused(Refusal),
    /// Its host is not attached; nothing was begun.
    #[error("host {host} of sandbox {sandbox} is away")]
    HostAway {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its host.
        host: HostId,
    },
    /// Its host is attached to another server; nothing was begun.
    #[error("host {host} of sandbox {sandbox} is attached to another server")]
    Elsewhere {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its host.
        host: HostId,
    },
    /// Its host went away meanwhile; the operation settles when it is back.
    #[error("host {host} of sandbox {sandbox} went away meanwhile")]
    HostLost {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its host.
        host: HostId,
    },
    /// Its host has no room for it to run; nothing was begun.
    #[error("its host has no room: {0}")]
    NoRoom(Shortage),
    /// The template cannot have its name; nothing was begun.
    #[error(transparent)]
    Name(TemplateNameError),
    /// The team may not use as much; nothing was begun.
    #[error(transparent)]
    NotAdmitted(NotAdmitted),
    /// The host tried and failed; the sandbox is what its row says.
    #[error("{0}")]
    Failed(String),
    /// Somebody destroyed it meanwhile, which overtakes every other operation.
    #[error("sandbox {0} was destroyed meanwhile")]
    Overtaken(SandboxId),
    /// The time is over; the operation goes on.
    #[error("the operation on sandbox {0} did not end in time; it goes on")]
    TimedOut(SandboxId),
    /// A row could not be read or written.
    #[error("cannot read or write the sandbox")]
    Store(#[source] StoreError),
    /// An actor failed while it handled the request, which may have been executed.
    #[error("the actor of sandbox {0} did not answer")]
    Unanswered(SandboxId, #[source] CallError),
}

/// Why it is not known that a template is gone.
#[derive(Debug, thiserror::Error)]
pub enum DeleteTemplateError {
    /// The database did not answer when the deletion was begun.
    #[error("cannot begin to delete the template")]
    Store(#[source] StoreError),
    /// The server is ending; the next one ends the deletion.
    #[error("the deletion was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// An inventory lists more than a host can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the inventory lists {machines} machines and {templates} templates, which is more than a host can have"
)]
pub struct InventoryTooLarge {
    /// Machines that it lists.
    pub machines: usize,
    /// Templates that it lists.
    pub templates: usize,
}

/// Why an agent may not attach.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// It says that it is another host than the one whose token it shows.
    #[error("the hello names another host than the token")]
    WrongHost,
    /// There is no such host any more.
    #[error("there is no host {0}")]
    NotFound(HostId),
    /// The inventory lists more than a host can have.
    #[error(transparent)]
    Inventory(InventoryTooLarge),
    /// The database did not answer; trying again helps.
    #[error("cannot write that host {0} attached")]
    Store(HostId, #[source] StoreError),
    /// The host's actor failed meanwhile; trying again helps.
    #[error("the actor of host {0} did not answer")]
    Unanswered(HostId, #[source] CallError),
}

/// Why a fault was not injected.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The configuration does not allow it.
    #[error("fault injection is off")]
    Off,
    /// There is no such actor.
    #[error("there is no such actor")]
    NotFound,
}
