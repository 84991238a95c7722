//! The life of a sandbox as a pure function: a state and an input make the next state and effects.
//!
//! ```text
//!                                 pause*                                    * operation in flight
//!                             ┌──────────────▶ paused ─┐
//!   created ──▶ start* ──▶ running ◀── resume* ◀───────┤ (hibernated: its memory was dropped)
//!                 │ failed    │ ended by itself        │
//!                 ▼           └──────────────▶ stopped ┘ (its disk is kept, and can be booted)
//!        error + destroy* ──▶ error                      (what is left on the host is removed)
//!
//!   snapshot*, flatten*: running, paused or stopped stay what they are, and a template is made
//!   missing: any of these whose host was lost, until the host is back and says what is true
//!   any of these ── destroy ──▶ destroy* ──▶ stopped, gone for ever
//! ```
//!
//! No I/O, no clock, no randomness: the actor, the tests and the model check call the same function. The
//! caller writes `next.lifecycle` and `template` if they differ, and only after that was committed adopts `next` and
//! carries out the effects, in order.
//!
//! Rules that hold everywhere, see [`super::invariants`]:
//! - A generation is incremented exactly when an operation is begun.
//! - What comes back from a host is ignored unless it carries the current generation.
//! - Nothing that is only *observed* changes a sandbox with an operation in flight; only the outcome does. The one
//!   exception: while its host is lost the status is `missing`, and the operation stays in flight.
//! - An operation that fails settles into what the host says is true of the machine, with `last_error`.
//! - A removal that failed stays in flight, and is begun anew with the next generation, unless the host says for
//!   certain what is true now: memory and disk that may be in use are never given to others.
//! - A refused request changes nothing. `destroying` is never refused: it overtakes.
//! - A template is begun with the operation that makes it, and ends with it: ready, or discarded.

use super::state::{
    Activity, Command, Effect, Ignored, Input, Machine, Memory, Observed, Outcome, Refusal, Request, State,
    Step, TemplateEffect,
};
use crate::lifecycle::{End, Generation, Lifecycle, Operation, SandboxStatus};

impl State {
    fn ignore(&self, reason: Ignored) -> Step {
        Step { next: self.clone(), template: None, effects: Vec::new(), ignored: Some(reason) }
    }

    /// The one way to another state: what it holds and the template in the making follow from it.
    fn turn_into(&self, next: Self, commands: Vec<Effect>) -> Step {
        let template = match (self.lifecycle.template, next.lifecycle.template) {
            (None, Some(begun)) => Some(TemplateEffect::Begin(begun)),
            (Some(ended), now) if now != Some(ended) => Some(TemplateEffect::Discard(ended)),
            _ => None,
        };
        let mut effects = commands;
        let hold = next.lifecycle.hold();
        if hold != self.lifecycle.hold() {
            effects.push(Effect::Hold(hold));
        }
        Step { next, template, effects, ignored: None }
    }

    /// Begins an operation: the one place where a generation is incremented.
    fn begin(&self, operation: Operation, command: Command, change: impl FnOnce(&mut Lifecycle)) -> Step {
        let mut next = self.clone();
        next.lifecycle.operation = Some(operation);
        next.lifecycle.generation = self.lifecycle.generation.next();
        next.lifecycle.template = match command {
            Command::Snapshot(template) | Command::Flatten(template) => Some(template),
            _ => None,
        };
        next.observed = Observed::Unknown;
        change(&mut next.lifecycle);
        self.turn_into(next, vec![Effect::Send(command)])
    }

    /// Ends the operation in flight, if there is one.
    fn settle(&self, observed: Observed, change: impl FnOnce(&mut Lifecycle)) -> Step {
        let mut next = self.clone();
        next.lifecycle.operation = None;
        next.lifecycle.template = None;
        next.observed = observed;
        change(&mut next.lifecycle);
        self.turn_into(next, Vec::new())
    }

    /// Ends the operation in flight with what is true of the machine; without that, with what was before.
    fn settle_as(
        &self,
        machine: Option<Machine>,
        last_error: Option<String>,
        stop_reason: Option<String>,
    ) -> Step {
        let status = match machine {
            Some(Machine::Exited) => return self.clean_up(last_error, stop_reason),
            Some(machine) => status_of(machine, self.lifecycle.status),
            None => self.lifecycle.status,
        };
        self.settle(machine.map_or(Observed::Unknown, Observed::Known), |lifecycle| {
            set_status(lifecycle, status);
            lifecycle.last_error = last_error;
            lifecycle.stop_reason = stop_reason.filter(|_| machine == Some(Machine::Stopped));
        })
    }

    /// As [`settle_as`](Self::settle_as), but an end of the machine that was seen meanwhile is newer than what the
    /// outcome says.
    fn settle_unless_ended(&self, machine: Option<Machine>, last_error: Option<String>) -> Step {
        match &self.observed {
            Observed::Ended(machine, reason) => {
                self.settle_as(Some(*machine), last_error, Some(reason.clone()))
            }
            _ => {
                let stop_reason = last_error.clone();
                self.settle_as(machine, last_error, stop_reason)
            }
        }
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

/// Writes a status; only what runs, or may, has addresses and warnings.
fn set_status(lifecycle: &mut Lifecycle, status: SandboxStatus) {
    lifecycle.status = status;
    if matches!(status, SandboxStatus::Paused | SandboxStatus::Hibernated | SandboxStatus::Stopped) {
        lifecycle.guest_ip = None;
        lifecycle.host_ip = None;
        lifecycle.warnings = Vec::new();
    }
}

/// The status of a sandbox whose machine is in this state; `before` tells apart what a host cannot.
fn status_of(machine: Machine, before: SandboxStatus) -> SandboxStatus {
    match machine {
        Machine::Running => SandboxStatus::Running,
        Machine::Paused => SandboxStatus::Paused,
        Machine::Stopped if before == SandboxStatus::Hibernated => SandboxStatus::Hibernated,
        Machine::Stopped => SandboxStatus::Stopped,
        Machine::Exited => SandboxStatus::Error,
        Machine::Starting => before,
    }
}

/// Returns what `input` leads to.
///
/// # Errors
/// Only [`Input::Operate`] is ever refused, and [`Request::Destroy`] never.
pub fn step(state: &State, input: &Input) -> Result<Step, Refusal> {
    if state.lifecycle.end == End::Reached {
        return match input {
            Input::Operate(request) if *request != Request::Destroy => Err(refuse(state, *request)),
            _ => Ok(state.ignore(Ignored::Settled)),
        };
    }
    match input {
        Input::Operate(Request::Destroy) => Ok(destroy(state)),
        Input::Operate(request) => operate(state, *request),
        Input::TakeUp => Ok(take_up(state)),
        Input::Finished { generation, outcome } => Ok(finished(state, *generation, outcome)),
        Input::Exited { generation, machine, reason } => {
            Ok(reported(state, *generation, *machine, reason, Activity::Idle))
        }
        Input::Reported { generation, machine, reason, activity } => {
            Ok(reported(state, *generation, *machine, reason, *activity))
        }
        Input::NotReported { generation } => Ok(not_reported(state, *generation)),
        Input::HostLost => Ok(host_lost(state)),
        Input::HostRetired => Ok(host_retired(state)),
        Input::HostDeleted => Ok(host_deleted(state)),
    }
}

fn refuse(state: &State, request: Request) -> Refusal {
    let Lifecycle { status, operation, .. } = state.lifecycle;
    Refusal { wanted: request.operation(), status, operation }
}

fn operate(state: &State, request: Request) -> Result<Step, Refusal> {
    use SandboxStatus::{Hibernated, Paused, Running, Stopped};
    let Lifecycle { status, operation, end, .. } = state.lifecycle;
    if operation.is_some() || end != End::NotRequested {
        let is_under_way = end == End::NotRequested
            && match request {
                Request::Pause => operation == Some(Operation::Pausing),
                Request::Resume(memory) => {
                    operation == Some(Operation::Resuming) && (memory == Memory::Keep || status == Hibernated)
                }
                Request::Snapshot(template) | Request::Flatten(template) => {
                    operation == Some(request.operation()) && state.lifecycle.template == Some(template)
                }
                Request::Destroy => false,
            };
        return if is_under_way {
            Ok(state.ignore(Ignored::NothingNew))
        } else {
            Err(refuse(state, request))
        };
    }
    let as_it_is = |_: &mut Lifecycle| {};
    match (request, status) {
        (Request::Pause, Paused | Hibernated) | (Request::Resume(_), Running) => {
            Ok(state.ignore(Ignored::NothingNew))
        }
        (Request::Pause, Running) => Ok(state.begin(Operation::Pausing, Command::Pause, as_it_is)),
        (Request::Resume(Memory::Drop), Paused | Hibernated) | (Request::Resume(_), Hibernated) => {
            // The status remembers what was wanted, should the command have to be sent again.
            let command = Command::Resume(Memory::Drop);
            Ok(state.begin(Operation::Resuming, command, |lifecycle| lifecycle.status = Hibernated))
        }
        (Request::Resume(_), Paused | Stopped) => {
            Ok(state.begin(Operation::Resuming, Command::Resume(Memory::Keep), as_it_is))
        }
        (Request::Snapshot(template), Running | Paused) => {
            Ok(state.begin(Operation::Snapshotting, Command::Snapshot(template), as_it_is))
        }
        (Request::Flatten(template), Running | Stopped) => {
            Ok(state.begin(Operation::Flattening, Command::Flatten(template), as_it_is))
        }
        _ => Err(refuse(state, request)),
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
    state.turn_into(next, Vec::new())
}

fn take_up(state: &State) -> Step {
    let Lifecycle { operation, template, status, .. } = state.lifecycle;
    let Some(operation) = operation else { return state.ignore(Ignored::NothingNew) };
    let command = match (operation, template) {
        (Operation::Starting, _) => Command::Start,
        (Operation::Pausing, _) => Command::Pause,
        (Operation::Resuming, _) if status == SandboxStatus::Hibernated => Command::Resume(Memory::Drop),
        // Of one that is missing it is not known whether its memory was to be dropped. To keep it loses nothing.
        (Operation::Resuming, _) => Command::Resume(Memory::Keep),
        (Operation::Snapshotting, Some(template)) => Command::Snapshot(template),
        (Operation::Flattening, Some(template)) => Command::Flatten(template),
        (Operation::Destroying, _) => Command::Destroy,
        // A constraint keeps such a row from being written.
        (Operation::Snapshotting | Operation::Flattening, None) => {
            return state.settle_as(None, Some(format!("`{operation}` names no template")), None);
        }
    };
    if state.observed == Observed::RemovalFailed {
        // The host would only repeat its answer to this generation.
        return state.begin(Operation::Destroying, Command::Destroy, |_| {});
    }
    let mut next = state.clone();
    if !matches!(next.observed, Observed::Ended(..)) {
        next.observed = Observed::Unknown;
    }
    state.turn_into(next, vec![Effect::Send(command)])
}

fn finished(state: &State, generation: Generation, outcome: &Outcome) -> Step {
    if generation != state.lifecycle.generation {
        return state.ignore(Ignored::OtherGeneration);
    }
    let Some(operation) = state.lifecycle.operation else { return state.ignore(Ignored::NothingNew) };
    match (operation, outcome) {
        (Operation::Destroying, Outcome::Destroyed) => gone(state),
        (Operation::Destroying, Outcome::Failed { message, machine }) => {
            destroy_failed(state, message.clone(), *machine)
        }
        (Operation::Destroying, _) => destroy_failed(state, mismatch(operation), None),
        (Operation::Starting | Operation::Resuming, Outcome::Started { guest_ip, host_ip, warnings }) => {
            started(state, guest_ip, host_ip, warnings)
        }
        (Operation::Pausing, Outcome::Paused) => state.settle_unless_ended(Some(Machine::Paused), None),
        (
            Operation::Snapshotting | Operation::Flattening,
            Outcome::TemplateMade { template, size_bytes, disk_size_mb, machine },
        ) if state.lifecycle.template == Some(*template) => {
            let made = state.settle_unless_ended(*machine, None);
            let (size_bytes, disk_size_mb) = (*size_bytes, *disk_size_mb);
            let publish = TemplateEffect::Publish { template: *template, size_bytes, disk_size_mb };
            Step { template: Some(publish), ..made }
        }
        (Operation::Starting, outcome) => {
            let message = match outcome {
                Outcome::Failed { message, .. } => message.clone(),
                _ => mismatch(operation),
            };
            state.clean_up(Some(message), Some("it could not be started".to_owned()))
        }
        (_, Outcome::Failed { message, machine }) => {
            state.settle_unless_ended(*machine, Some(message.clone()))
        }
        (_, _) => state.settle_unless_ended(None, Some(mismatch(operation))),
    }
}

fn mismatch(operation: Operation) -> String {
    format!("the host answered `{operation}` with the outcome of another command")
}

fn started(state: &State, guest_ip: &str, host_ip: &str, warnings: &[String]) -> Step {
    let mut step = state.settle_unless_ended(Some(Machine::Running), None);
    let lifecycle = &mut step.next.lifecycle;
    if lifecycle.status == SandboxStatus::Running {
        lifecycle.guest_ip = Some(guest_ip.to_owned());
        lifecycle.host_ip = Some(host_ip.to_owned());
        lifecycle.warnings = warnings.to_vec();
    }
    step
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
    let Lifecycle { status, end, .. } = state.lifecycle;
    let had_begun = matches!(
        status,
        SandboxStatus::Running
            | SandboxStatus::Paused
            | SandboxStatus::Hibernated
            | SandboxStatus::Stopped
            | SandboxStatus::Missing
    );
    let settled = match machine {
        Some(Machine::Exited) => SandboxStatus::Error,
        Some(machine @ (Machine::Running | Machine::Paused | Machine::Stopped))
            if end == End::Requested && had_begun =>
        {
            status_of(machine, status)
        }
        _ => {
            let mut next = state.clone();
            next.observed = Observed::RemovalFailed;
            next.lifecycle.last_error = Some(message);
            return state.turn_into(next, Vec::new());
        }
    };
    let observed = machine.map_or(Observed::Unknown, Observed::Known);
    state.settle(observed, |lifecycle| {
        set_status(lifecycle, settled);
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
        if is_news && is_current && machine.has_ended() && activity == Activity::Idle {
            // It matters if the outcome that arrives is an older one.
            let mut next = state.clone();
            next.observed = Observed::Ended(machine, reason.to_owned());
            return Step { next, ..state.ignore(Ignored::OperationInFlight) };
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
    if machine == Machine::Starting || activity == Activity::Busy {
        return state.ignore(Ignored::NothingNew);
    }
    if machine == Machine::Exited {
        return state.clean_up(None, Some(reason.to_owned()));
    }
    let mut next = state.clone();
    set_status(&mut next.lifecycle, status_of(machine, state.lifecycle.status));
    next.observed = Observed::Known(machine);
    if next.lifecycle.status == state.lifecycle.status {
        return Step { next, ..state.ignore(Ignored::NothingNew) };
    }
    next.lifecycle.stop_reason = (machine == Machine::Stopped).then(|| reason.to_owned());
    state.turn_into(next, Vec::new())
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
    state.turn_into(next, Vec::new())
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

/// A removal that was in flight is what was requested; everything else ends for the host's sake.
fn host_deleted(state: &State) -> Step {
    let is_removal =
        state.lifecycle.operation == Some(Operation::Destroying) && state.lifecycle.end == End::Requested;
    state.settle(Observed::Absent, |lifecycle| {
        set_status(lifecycle, SandboxStatus::Stopped);
        lifecycle.end = End::Reached;
        if !is_removal {
            lifecycle.stop_reason = Some("its host was deleted".to_owned());
        }
    })
}
