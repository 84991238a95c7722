//! What is always true of a sandbox, as plain predicates.
//!
//! Used by the exhaustive test of the state machine, by model checks, and by the actor's debug assertions
//! before anything is written.

use wrenn_store::lifecycle::{End, Lifecycle, Operation, SandboxStatus};

use super::state::{Command, Effect, Observed, State, Step};

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
        *status != SandboxStatus::Stopped || *end == End::Reached,
        "nothing is stopped without being gone: this version starts a sandbox only once",
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
        match effect {
            Effect::Send(Command::Start) => {
                rule(new.operation == Some(Operation::Starting), "a start is sent while it is in flight")?;
            }
            Effect::Send(Command::Destroy) => {
                rule(
                    new.operation == Some(Operation::Destroying),
                    "a removal is sent while it is in flight",
                )?;
            }
            Effect::ReleaseReservation => {
                rule(!new.holds_resources(), "only what holds nothing is released")?;
            }
        }
    }
    let released = old.holds_resources() && !new.holds_resources();
    rule(
        released == step.effects.contains(&Effect::ReleaseReservation),
        "what stops holding resources is released at that moment",
    )
}
