//! The life of a sandbox as a pure function: a state and an input make the next state and effects.
//!
//! ```text
//!   created ──▶ starting* ──▶ running ◀──▶ missing        * operation in flight
//!                  │ failed      │ exited     │ not on its host any more
//!                  ▼             ▼            ▼
//!               error + destroying* ──▶ error             (what is left on the host is removed)
//!
//!   any of these ── destroy ──▶ destroying* ──▶ stopped, gone for ever
//! ```
//!
//! No I/O, no clock, no randomness: the actor, the tests and the model check call the same function. The
//! caller writes `next.lifecycle` if it differs, and only after that was committed adopts `next` and carries
//! out the effects, in order.
//!
//! Rules that hold everywhere, see [`super::invariants`]:
//! - A generation is incremented exactly when an operation is begun.
//! - What comes back from a host is ignored unless it carries the current generation.
//! - Nothing that is only *observed* changes a sandbox with an operation in flight; only the outcome does. The one
//!   exception: while its host is lost the status is `missing`, and the operation stays in flight.
//! - A removal that failed stays in flight, and is begun anew with the next generation, unless the host says for
//!   certain what is true now: memory and disk that may be in use are never given to others.
//! - A refused request changes nothing. `destroying` is never refused: it overtakes.

use wrenn_proto::agent;
use wrenn_store::lifecycle::{End, Generation, Lifecycle, Operation, SandboxStatus};

/// What a host says about a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// It is being made.
    Starting,
    /// It runs.
    Running,
    /// Its memory and disk are kept.
    Paused,
    /// It ended, and what it used is released.
    Exited,
}

impl Machine {
    /// Reads the wire's value; none if it is not one of ours.
    pub fn from_wire(state: agent::MachineState) -> Option<Self> {
        match state {
            agent::MachineState::Unspecified => None,
            agent::MachineState::Starting => Some(Self::Starting),
            agent::MachineState::Running => Some(Self::Running),
            agent::MachineState::Paused => Some(Self::Paused),
            agent::MachineState::Exited | agent::MachineState::Stopped => Some(Self::Exited),
        }
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
    /// The machine of the current generation ended, for this reason. Final for its generation.
    Exited(String),
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

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The machine runs.
    Started {
        /// Address inside the machine.
        guest_ip: String,
        /// Address of the machine on its host.
        host_ip: String,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It is.
    Busy,
    /// It is not.
    Idle,
}

/// What can happen to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A client wants this operation.
    Operate(Operation),
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
        /// Why.
        reason: String,
    },
    /// The host's inventory lists the machine.
    Reported {
        /// The highest generation that the host has accepted.
        generation: Generation,
        /// Its state.
        machine: Machine,
        /// Why, for `Exited`.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Make the machine and start it.
    Start,
    /// Remove the machine and all that belongs to it.
    Destroy,
}

/// What is to be done once the next state is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Send a command of the current generation.
    Send(Command),
    /// Give back what was reserved on the host.
    ReleaseReservation,
}

/// Why an input changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It belongs to another generation.
    OtherGeneration,
    /// An operation is in flight, and only its outcome counts.
    OperationInFlight,
    /// What it says is known already.
    NothingNew,
    /// The sandbox is settled, and this cannot change it any more.
    Settled,
}

/// What an input leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state afterwards.
    pub next: State,
    /// What is to be done then, in this order.
    pub effects: Vec<Effect>,
    /// Why nothing changed, if nothing did.
    pub ignored: Option<Ignored>,
}

/// Why an operation is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another operation is in flight, or the settled state does not allow it.
    #[error("cannot begin `{wanted}`: the sandbox is {status}{}", in_flight(.operation))]
    InvalidState {
        /// The operation that was asked for.
        wanted: Operation,
        /// The settled state.
        status: SandboxStatus,
        /// What is in flight.
        operation: Option<Operation>,
    },
    /// This version does not do that.
    #[error("`{0}` is not offered by this version")]
    NotOffered(Operation),
}

fn in_flight(operation: &Option<Operation>) -> String {
    operation.map(|operation| format!(", and `{operation}` is in flight")).unwrap_or_default()
}

impl State {
    /// The state of an actor that has read its row and knows nothing of the host.
    pub fn loaded(lifecycle: Lifecycle) -> Self {
        Self { lifecycle, observed: Observed::Unknown }
    }

    fn ignore(&self, reason: Ignored) -> Step {
        Step { next: self.clone(), effects: Vec::new(), ignored: Some(reason) }
    }

    /// Begins an operation: the one place where a generation is incremented.
    fn begin(&self, operation: Operation, command: Command, change: impl FnOnce(&mut Lifecycle)) -> Step {
        let mut next = self.clone();
        next.lifecycle.operation = Some(operation);
        next.lifecycle.generation = self.lifecycle.generation.next();
        next.observed = Observed::Unknown;
        change(&mut next.lifecycle);
        Step { next, effects: vec![Effect::Send(command)], ignored: None }
    }

    /// Ends the operation in flight, if there is one.
    fn settle(&self, observed: Observed, change: impl FnOnce(&mut Lifecycle)) -> Step {
        let mut next = self.clone();
        next.lifecycle.operation = None;
        next.observed = observed;
        change(&mut next.lifecycle);
        let released = self.lifecycle.holds_resources() && !next.lifecycle.holds_resources();
        let effects = if released { vec![Effect::ReleaseReservation] } else { Vec::new() };
        Step { next, effects, ignored: None }
    }

    /// Nobody wanted the machine to end: the status says so, and what is left on the host is removed.
    fn clean_up(&self, last_error: Option<String>, stop_reason: Option<String>) -> Step {
        self.begin(Operation::Destroying, Command::Destroy, |lifecycle| {
            lifecycle.status = SandboxStatus::Error;
            lifecycle.last_error = last_error.or(lifecycle.last_error.take());
            lifecycle.stop_reason = stop_reason.or(lifecycle.stop_reason.take());
        })
    }
}

/// Returns what `input` leads to.
///
/// # Errors
/// Only [`Input::Operate`] is ever refused.
pub fn step(state: &State, input: &Input) -> Result<Step, Refusal> {
    if state.lifecycle.end == End::Reached {
        return match input {
            Input::Operate(wanted) if *wanted != Operation::Destroying => Err(refuse(state, *wanted)),
            _ => Ok(state.ignore(Ignored::Settled)),
        };
    }
    match input {
        Input::Operate(Operation::Destroying) => Ok(destroy(state)),
        Input::Operate(wanted) => Err(refuse(state, *wanted)),
        Input::TakeUp => Ok(take_up(state)),
        Input::Finished { generation, outcome } => Ok(finished(state, *generation, outcome)),
        Input::Exited { generation, reason } => {
            Ok(reported(state, *generation, Machine::Exited, reason, Activity::Idle))
        }
        Input::Reported { generation, machine, reason, activity } => {
            Ok(reported(state, *generation, *machine, reason, *activity))
        }
        Input::NotReported { generation } => Ok(not_reported(state, *generation)),
        Input::HostLost => Ok(host_lost(state)),
        Input::HostRetired => Ok(host_retired(state)),
    }
}

/// Every operation but `destroying` is refused: when something is in flight or about to end for that
/// reason, and otherwise because this version has no command for it.
fn refuse(state: &State, wanted: Operation) -> Refusal {
    let Lifecycle { status, operation, .. } = state.lifecycle;
    if operation.is_some() || state.lifecycle.end != End::NotRequested {
        Refusal::InvalidState { wanted, status, operation }
    } else {
        Refusal::NotOffered(wanted)
    }
}

fn destroy(state: &State) -> Step {
    if state.lifecycle.operation != Some(Operation::Destroying) || state.observed == Observed::RemovalFailed {
        return state.begin(Operation::Destroying, Command::Destroy, |lifecycle| {
            lifecycle.end = End::Requested;
        });
    }
    if state.lifecycle.end == End::Requested {
        return state.ignore(Ignored::NothingNew);
    }
    // A clean-up is in flight; it is the same command, so it only gets another meaning.
    let mut next = state.clone();
    next.lifecycle.end = End::Requested;
    Step { next, effects: Vec::new(), ignored: None }
}

fn take_up(state: &State) -> Step {
    let Some(operation) = state.lifecycle.operation else { return state.ignore(Ignored::NothingNew) };
    let command = match operation {
        Operation::Starting => Command::Start,
        Operation::Destroying => Command::Destroy,
        Operation::Pausing | Operation::Resuming | Operation::Snapshotting | Operation::Flattening => {
            return not_offered(state, operation);
        }
    };
    if state.observed == Observed::RemovalFailed {
        // The host would only repeat its answer to this generation.
        return state.begin(Operation::Destroying, Command::Destroy, |_| {});
    }
    let mut next = state.clone();
    if !matches!(next.observed, Observed::Exited(_)) {
        next.observed = Observed::Unknown;
    }
    Step { next, effects: vec![Effect::Send(command)], ignored: None }
}

/// Another version left this operation; it is given up, and the next inventory says what is true.
fn not_offered(state: &State, operation: Operation) -> Step {
    state.settle(Observed::Unknown, |lifecycle| {
        lifecycle.last_error = Some(Refusal::NotOffered(operation).to_string());
    })
}

fn finished(state: &State, generation: Generation, outcome: &Outcome) -> Step {
    if generation != state.lifecycle.generation {
        return state.ignore(Ignored::OtherGeneration);
    }
    let Some(operation) = state.lifecycle.operation else { return state.ignore(Ignored::NothingNew) };
    match (operation, outcome) {
        (Operation::Starting, Outcome::Started { guest_ip, host_ip }) => match &state.observed {
            // The outcome is older than the exit that was observed meanwhile.
            Observed::Exited(reason) => state.clean_up(None, Some(reason.clone())),
            _ => state.settle(Observed::Known(Machine::Running), |lifecycle| {
                lifecycle.status = SandboxStatus::Running;
                lifecycle.last_error = None;
                lifecycle.guest_ip = Some(guest_ip.clone());
                lifecycle.host_ip = Some(host_ip.clone());
            }),
        },
        (Operation::Starting, Outcome::Failed { message, .. }) => {
            state.clean_up(Some(message.clone()), Some("it could not be started".to_owned()))
        }
        (Operation::Starting, Outcome::Destroyed) => {
            state.clean_up(Some(mismatch(operation)), Some("it could not be started".to_owned()))
        }
        (Operation::Destroying, Outcome::Destroyed) => gone(state),
        (Operation::Destroying, Outcome::Failed { message, machine }) => {
            destroy_failed(state, message.clone(), *machine)
        }
        (Operation::Destroying, Outcome::Started { .. }) => destroy_failed(state, mismatch(operation), None),
        (Operation::Pausing | Operation::Resuming | Operation::Snapshotting | Operation::Flattening, _) => {
            not_offered(state, operation)
        }
    }
}

fn mismatch(operation: Operation) -> String {
    format!("the host answered `{operation}` with the outcome of another command")
}

/// Nothing of the machine is left on its host.
fn gone(state: &State) -> Step {
    state.settle(Observed::Absent, |lifecycle| {
        if lifecycle.end == End::Requested {
            lifecycle.status = SandboxStatus::Stopped;
            lifecycle.end = End::Reached;
        }
    })
}

/// Where the host knows what is true, the request is over; another one may follow. Otherwise it is begun anew
/// when the sandbox is taken up next.
fn destroy_failed(state: &State, message: String, machine: Option<Machine>) -> Step {
    let Lifecycle { status, end, .. } = &state.lifecycle;
    let is_wanted =
        *end == End::Requested && matches!(status, SandboxStatus::Running | SandboxStatus::Missing);
    let settled = match machine {
        Some(Machine::Running) if is_wanted => SandboxStatus::Running,
        Some(Machine::Exited) => SandboxStatus::Error,
        _ => {
            let mut next = state.clone();
            next.observed = Observed::RemovalFailed;
            next.lifecycle.last_error = Some(message);
            return Step { next, effects: Vec::new(), ignored: None };
        }
    };
    let observed = machine.map_or(Observed::Unknown, Observed::Known);
    state.settle(observed, |lifecycle| {
        lifecycle.status = settled;
        lifecycle.last_error = Some(message);
        lifecycle.end = End::NotRequested;
    })
}

fn reported(
    state: &State,
    generation: Generation,
    machine: Machine,
    reason: &str,
    activity: Activity,
) -> Step {
    let is_current = generation == state.lifecycle.generation;
    if state.lifecycle.operation.is_some() {
        let is_news = state.observed != Observed::RemovalFailed;
        if is_news && is_current && machine == Machine::Exited && activity == Activity::Idle {
            // It matters if the outcome that arrives is an older one.
            let mut next = state.clone();
            next.observed = Observed::Exited(reason.to_owned());
            return Step { next, effects: Vec::new(), ignored: Some(Ignored::OperationInFlight) };
        }
        return state.ignore(Ignored::OperationInFlight);
    }
    if state.lifecycle.status == SandboxStatus::Error {
        // Whatever the host still has of it, of whichever generation, is not wanted.
        return state.clean_up(None, None);
    }
    if !is_current {
        return state.ignore(Ignored::OtherGeneration);
    }
    let status = match (machine, activity) {
        (Machine::Starting, _) | (_, Activity::Busy) => return state.ignore(Ignored::NothingNew),
        (Machine::Exited, Activity::Idle) => return state.clean_up(None, Some(reason.to_owned())),
        (Machine::Running, Activity::Idle) => SandboxStatus::Running,
        (Machine::Paused, Activity::Idle) => match state.lifecycle.status {
            SandboxStatus::Hibernated => SandboxStatus::Hibernated,
            _ => SandboxStatus::Paused,
        },
    };
    let mut next = state.clone();
    next.lifecycle.status = status;
    next.observed = Observed::Known(machine);
    let ignored = (next.lifecycle == state.lifecycle).then_some(Ignored::NothingNew);
    Step { next, effects: Vec::new(), ignored }
}

fn not_reported(state: &State, generation: Generation) -> Step {
    if state.lifecycle.operation.is_some() {
        return state.ignore(Ignored::OperationInFlight);
    }
    if generation != state.lifecycle.generation {
        return state.ignore(Ignored::OtherGeneration);
    }
    if state.lifecycle.status == SandboxStatus::Error {
        return state.ignore(Ignored::NothingNew);
    }
    state.settle(Observed::Absent, |lifecycle| {
        lifecycle.status = SandboxStatus::Error;
        lifecycle.stop_reason = Some("its host no longer has its machine".to_owned());
    })
}

/// What is in flight stays so: its outcome settles it when the host is back.
fn host_lost(state: &State) -> Step {
    if matches!(state.lifecycle.status, SandboxStatus::Missing | SandboxStatus::Error) {
        return state.ignore(Ignored::NothingNew);
    }
    let mut next = state.clone();
    next.lifecycle.status = SandboxStatus::Missing;
    if next.lifecycle.operation.is_none() {
        next.observed = Observed::Unknown;
    }
    Step { next, effects: Vec::new(), ignored: None }
}

fn host_retired(state: &State) -> Step {
    if state.lifecycle.operation == Some(Operation::Destroying) {
        return gone(state);
    }
    if state.lifecycle.operation.is_none() && state.lifecycle.status == SandboxStatus::Error {
        return state.ignore(Ignored::NothingNew);
    }
    state.settle(Observed::Absent, |lifecycle| {
        lifecycle.status = SandboxStatus::Error;
        lifecycle.stop_reason = Some("its host is gone for good".to_owned());
    })
}
