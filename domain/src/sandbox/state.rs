//! States of a sandbox, inputs and effects. [`step`](super::step()) decides.

use crate::{
    ids::TemplateId,
    lifecycle::{Generation, Hold, Lifecycle, Operation, SandboxStatus},
};

/// State of a machine, as a host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// The machine is being made.
    Starting,
    /// The machine runs.
    Running,
    /// Its memory and disk are kept.
    Paused,
    /// The machine ended, and its disk is kept.
    Stopped,
    /// The machine ended, and left nothing.
    Exited,
}

impl Machine {
    /// Returns true if it ended by itself, or was never made.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

/// Knowledge of the machine on the host. Lives in memory only: after a restart all is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Observed {
    /// The machine is unknown; so before and during every remote call.
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
    /// Part of the row that the actor writes.
    pub lifecycle: Lifecycle,
    /// Knowledge of the host.
    pub observed: Observed,
}

impl State {
    /// The state of an actor that has read its row and knows nothing of the host.
    pub fn loaded(lifecycle: Lifecycle) -> Self {
        Self { lifecycle, observed: Observed::Unknown }
    }
}

/// Request of a client.
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

/// Fate of the memory of a paused sandbox that is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Memory {
    /// The sandbox goes on where it was.
    Keep,
    /// The memory is given up, and the machine booted from its disk.
    Drop,
}

/// End of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The machine runs, or runs again.
    Started {
        /// Address inside the machine.
        guest_ip: String,
        /// Address of the machine on its host.
        host_ip: String,
        /// Parts of it that could not be prepared.
        warnings: Vec<String>,
    },
    /// The machine's memory and disk are kept, and it does not run.
    Paused,
    /// The template's files are complete on the host.
    TemplateMade {
        /// Which template.
        template: TemplateId,
        /// Size on the host.
        size_bytes: u64,
        /// Least disk that a sandbox of it needs.
        disk_size_mb: u32,
        /// State of the machine afterwards, if it is known.
        machine: Option<Machine>,
    },
    /// The machine is gone with all that belonged to it.
    Destroyed,
    /// The command failed.
    Failed {
        /// For people.
        message: String,
        /// State of the machine now, if it is known.
        machine: Option<Machine>,
    },
}

/// Work of a host on a machine that it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// The host carries out a command for the machine.
    Busy,
    /// The host carries out no command for the machine.
    Idle,
}

/// Event in the life of a sandbox.
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
        /// End of the command.
        outcome: Outcome,
    },
    /// The machine ended by itself.
    Exited {
        /// The machine's generation.
        generation: Generation,
        /// Remainder of the machine: [`Machine::Stopped`] or [`Machine::Exited`].
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
        /// Work of the host on the machine.
        activity: Activity,
    },
    /// The host's inventory does not list the machine.
    NotReported {
        /// Generation of the row when the inventory was compared.
        generation: Generation,
    },
    /// The host was not heard of for too long.
    HostLost,
    /// The host can never come back.
    HostRetired,
    /// The host was deleted, with everything on it.
    HostDeleted,
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

/// Effect that is carried out once the next state is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send a command of the current generation.
    Send(Command),
    /// From now on it holds this much of its host.
    Hold(Hold),
}

/// Change of a template that is committed together with the next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateEffect {
    /// The template begins to be made.
    Begin(TemplateId),
    /// The template is ready.
    Publish {
        /// Which.
        template: TemplateId,
        /// Size on the host.
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
    /// The input belongs to another generation.
    OtherGeneration,
    /// An operation is in flight, and only its outcome counts.
    OperationInFlight,
    /// The input says what is known already, or wants what is so or in flight.
    NothingNew,
    /// The sandbox is settled, and this cannot change it any more.
    Settled,
}

/// Result of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state afterwards.
    pub next: State,
    /// Change of a template that is committed with the state.
    pub template: Option<TemplateEffect>,
    /// Effects, in the order in which they are carried out.
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
    /// Operation in flight.
    pub operation: Option<Operation>,
}

fn in_flight(operation: &Option<Operation>) -> String {
    operation.map(|operation| format!(", and `{operation}` is in flight")).unwrap_or_default()
}
