//! What the state of a sandbox is made of, what can happen to it, and what follows. [`step`](super::step()) decides.

use crate::{
    ids::TemplateId,
    lifecycle::{Generation, Hold, Lifecycle, Operation, SandboxStatus},
};

/// What a host says about a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// It is being made.
    Starting,
    /// It runs.
    Running,
    /// Its memory and disk are kept.
    Paused,
    /// It ended, and its disk is kept.
    Stopped,
    /// It ended, and nothing of it is left.
    Exited,
}

impl Machine {
    /// Returns true if it ended by itself, or was never made.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

/// What is known of the machine on the host. Lives in memory only: nothing is known after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Nothing is known; so before and during every remote call.
    Unknown,
    /// There is no machine, for certain.
    Absent,
    /// The machine of the current generation is in this state.
    Known(Machine),
    /// The machine of the current generation ended, with this left of it, for this reason. Final for its generation.
    Ended(Machine, String),
    /// The removal of the current generation failed, and what is left is not known. Final for its generation.
    RemovalFailed,
}

/// Everything that decides about a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What the row says.
    pub lifecycle: Lifecycle,
    /// What is known of the host.
    pub observed: Observed,
}

impl State {
    /// The state of an actor that has read its row and knows nothing of the host.
    pub fn loaded(lifecycle: Lifecycle) -> Self {
        Self { lifecycle, observed: Observed::Unknown }
    }
}

/// What a client can want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// Keep it, and use neither memory nor processors for it.
    Pause,
    /// Let it run again.
    Resume(Memory),
    /// Make this template of its disk and memory.
    Snapshot(TemplateId),
    /// Make this template of its disk.
    Flatten(TemplateId),
    /// Let nothing be left of it.
    Destroy,
}

impl Request {
    /// The operation that carries it out.
    pub fn operation(self) -> Operation {
        match self {
            Self::Pause => Operation::Pausing,
            Self::Resume(_) => Operation::Resuming,
            Self::Snapshot(_) => Operation::Snapshotting,
            Self::Flatten(_) => Operation::Flattening,
            Self::Destroy => Operation::Destroying,
        }
    }
}

/// What becomes of the memory of a paused sandbox that is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Memory {
    /// It goes on where it was.
    Keep,
    /// It is given up, and the machine booted from its disk.
    Drop,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The machine runs, or runs again.
    Started {
        /// Address inside the machine.
        guest_ip: String,
        /// Address of the machine on its host.
        host_ip: String,
    },
    /// The machine's memory and disk are kept, and it does not run.
    Paused,
    /// The template's files are complete on the host.
    TemplateMade {
        /// Which template.
        template: TemplateId,
        /// What it occupies.
        size_bytes: u64,
        /// Least disk that a sandbox of it needs.
        disk_size_mb: u32,
        /// What is true of the machine afterwards, if that is known.
        machine: Option<Machine>,
    },
    /// Nothing of the machine is left.
    Destroyed,
    /// The command failed.
    Failed {
        /// For people.
        message: String,
        /// What is true of the machine now, if that is known.
        machine: Option<Machine>,
    },
}

/// Whether a host is carrying out a command for a machine that it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// It is.
    Busy,
    /// It is not.
    Idle,
}

/// What can happen to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A client wants this.
    Operate(Request),
    /// The actor began or began anew, or the host attached: whatever is in flight is taken up again.
    TakeUp,
    /// A command ended.
    Finished {
        /// The command's generation.
        generation: Generation,
        /// How it ended.
        outcome: Outcome,
    },
    /// The machine ended by itself.
    Exited {
        /// The machine's generation.
        generation: Generation,
        /// What is left of it: [`Machine::Stopped`] or [`Machine::Exited`].
        machine: Machine,
        /// Why.
        reason: String,
    },
    /// The host's inventory lists the machine.
    Reported {
        /// The highest generation that the host has accepted.
        generation: Generation,
        /// Its state.
        machine: Machine,
        /// Why, for one that ended.
        reason: String,
        /// Whether a command is being carried out.
        activity: Activity,
    },
    /// The host's inventory does not list the machine.
    NotReported {
        /// What the row said when the inventory was compared.
        generation: Generation,
    },
    /// The host was not heard of for too long.
    HostLost,
    /// The host can never come back.
    HostRetired,
}

/// A command for a host; its generation is that of the state it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Make the machine and start it.
    Start,
    /// Keep memory, device state and disk, and end the machine.
    Pause,
    /// Let the machine go on, or boot it from its disk.
    Resume(Memory),
    /// Make a template of disk and memory.
    Snapshot(TemplateId),
    /// Make a template of the disk.
    Flatten(TemplateId),
    /// Remove the machine and all that belongs to it.
    Destroy,
}

/// What is to be done once the next state is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send a command of the current generation.
    Send(Command),
    /// From now on it holds this much of its host.
    Hold(Hold),
}

/// What is committed together with the next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateEffect {
    /// The template begins to be made.
    Begin(TemplateId),
    /// The template is ready.
    Publish {
        /// Which.
        template: TemplateId,
        /// What it occupies.
        size_bytes: u64,
        /// Least disk that a sandbox of it needs.
        disk_size_mb: u32,
    },
    /// The template will never be ready.
    Discard(TemplateId),
}

/// Why an input changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It belongs to another generation.
    OtherGeneration,
    /// An operation is in flight, and only its outcome counts.
    OperationInFlight,
    /// What it says is known already, or what it wants is so or under way.
    NothingNew,
    /// The sandbox is settled, and this cannot change it any more.
    Settled,
}

/// What an input leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state afterwards.
    pub next: State,
    /// What is committed with it.
    pub template: Option<TemplateEffect>,
    /// What is to be done then, in this order.
    pub effects: Vec<Effect>,
    /// Why nothing changed, if nothing did.
    pub ignored: Option<Ignored>,
}

/// Why an operation is not begun: another one is in flight, or the settled state does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot begin `{wanted}`: the sandbox is {status}{}", in_flight(.operation))]
pub struct Refusal {
    /// The operation that was asked for.
    pub wanted: Operation,
    /// The settled state.
    pub status: SandboxStatus,
    /// What is in flight.
    pub operation: Option<Operation>,
}

fn in_flight(operation: &Option<Operation>) -> String {
    operation.map(|operation| format!(", and `{operation}` is in flight")).unwrap_or_default()
}
