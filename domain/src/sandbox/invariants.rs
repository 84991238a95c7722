//! Invariants of a sandbox, as plain predicates.
//!
//! Used by the exhaustive test of the state machine, by model checks, and by the actor's debug assertions
//! before anything is written.

use super::state::{Command, Effect, Observed, State, Step, TemplateEffect};
use crate::{
    ids::TemplateId,
    lifecycle::{End, Lifecycle, Operation, SandboxStatus},
};

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

fn rule(holds: bool, text: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(text)) }
}

/// Checks one row.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_lifecycle(lifecycle: &Lifecycle) -> Result<(), Broken> {
    let Lifecycle { status, operation, end, .. } = lifecycle;
    rule(
        *end != End::Reached || (*status == SandboxStatus::Stopped && operation.is_none()),
        "what is gone is stopped and settled",
    )?;
    rule(
        *end != End::Requested || *operation == Some(Operation::Destroying),
        "a requested end is in flight until it is reached or failed",
    )?;
    rule(
        !matches!(status, SandboxStatus::Pending | SandboxStatus::Starting) || operation.is_some(),
        "a first start is in flight until it settles",
    )?;
    rule(
        *operation != Some(Operation::Starting)
            || matches!(status, SandboxStatus::Pending | SandboxStatus::Starting | SandboxStatus::Missing),
        "only the first start is a start",
    )?;
    rule(
        match operation {
            Some(Operation::Pausing) => matches!(status, SandboxStatus::Running | SandboxStatus::Missing),
            Some(Operation::Resuming) => matches!(
                status,
                SandboxStatus::Paused
                    | SandboxStatus::Hibernated
                    | SandboxStatus::Stopped
                    | SandboxStatus::Missing
            ),
            Some(Operation::Snapshotting) => {
                matches!(status, SandboxStatus::Running | SandboxStatus::Paused | SandboxStatus::Missing)
            }
            Some(Operation::Flattening) => {
                matches!(status, SandboxStatus::Running | SandboxStatus::Stopped | SandboxStatus::Missing)
            }
            Some(Operation::Starting | Operation::Destroying) | None => true,
        },
        "the status beside an operation is one that it can begin in, or missing",
    )?;
    rule(
        matches!(operation, Some(Operation::Snapshotting | Operation::Flattening))
            == lifecycle.template.is_some(),
        "a template is in the making exactly while an operation makes one",
    )?;
    rule(lifecycle.generation.0 > 0, "generations are positive")
}

/// Checks what one input did.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_step(before: &State, step: &Step) -> Result<(), Broken> {
    let (old, new) = (&before.lifecycle, &step.next.lifecycle);
    check_lifecycle(new)?;
    let is_repeated =
        before.observed == Observed::RemovalFailed && step.effects.contains(&Effect::Send(Command::Destroy));
    let begun = new.operation.is_some() && (new.operation != old.operation || is_repeated);
    let expected = if begun { old.generation.next() } else { old.generation };
    rule(new.generation == expected, "a generation grows by one exactly when an operation is begun")?;
    rule(old.end != End::Reached || new == old, "what is gone stays as it is")?;
    rule(step.ignored.is_none() || new == old, "what is ignored writes nothing")?;
    rule(
        step.next.observed != Observed::RemovalFailed || new.operation == Some(Operation::Destroying),
        "a removal that failed stays in flight",
    )?;
    rule(step.ignored.is_none() || step.effects.is_empty(), "what is ignored has no effect")?;
    for effect in &step.effects {
        if let Effect::Send(command) = effect {
            rule(new.operation == Some(operation_of(*command)), "a command is sent while it is in flight")?;
        }
    }
    let holds: Vec<_> = step.effects.iter().filter(|effect| matches!(effect, Effect::Hold(_))).collect();
    let expected = (new.hold() != old.hold()).then_some(Effect::Hold(new.hold()));
    rule(holds == Vec::from_iter(&expected), "what is held of the host is told when it changes")?;
    check_template(step, old, new)
}

/// A template is begun with its operation, and is ready or discarded when that ends.
fn check_template(step: &Step, old: &Lifecycle, new: &Lifecycle) -> Result<(), Broken> {
    let holds = match step.template {
        None => old.template == new.template,
        Some(TemplateEffect::Begin(template)) => {
            old.template.is_none() && new.template == Some(template) && begins_template(step, template)
        }
        Some(TemplateEffect::Publish { template, .. } | TemplateEffect::Discard(template)) => {
            old.template == Some(template) && new.template.is_none()
        }
    };
    rule(holds, "a template is begun, published or discarded with the operation that makes it")
}

fn begins_template(step: &Step, template: TemplateId) -> bool {
    [Command::Snapshot(template), Command::Flatten(template)]
        .into_iter()
        .any(|command| step.effects.contains(&Effect::Send(command)))
}

fn operation_of(command: Command) -> Operation {
    match command {
        Command::Start => Operation::Starting,
        Command::Pause => Operation::Pausing,
        Command::Resume(_) => Operation::Resuming,
        Command::Snapshot(_) => Operation::Snapshotting,
        Command::Flatten(_) => Operation::Flattening,
        Command::Destroy => Operation::Destroying,
    }
}
