//! Order of what a sandbox's actor does around [`step()`]: commit, adopt, send, report.
//!
//! ```text
//!   observation ─▶ step() ────────┐
//!   request ─▶ step_for_request ──┴▶ Commit ─▶ adopt the next state ─▶ after_commit, in order
//!                                  └▶ (none) ─▶ adopt the next state ─▶ without_commit, in order
//!   row ─▶ adopt it ──────────────────────────────────────────────────▶ after_load, in order
//! ```
//!
//! The actor and the model check call the same functions, so the model explores the order that is executed. A panic at
//! an arrow loses everything behind it; the next incarnation begins with the row.

use super::{
    state::{Command, Effect, Input, Refusal, Request, State, Step, TemplateEffect},
    step,
};
use crate::lifecycle::{End, Hold, Lifecycle, SandboxStatus};

/// Write that a step demands. Until it is committed nothing else follows from the step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// Lifecycle that the actor knows: the fence of the write.
    pub from: Lifecycle,
    /// Lifecycle that is written.
    pub to: Lifecycle,
    /// Change of a template in the same transaction.
    pub template: Option<TemplateEffect>,
}

impl Commit {
    /// Returns the write of a step, or `None` if the row stays as it is.
    pub fn of(before: &State, step: &Step) -> Option<Self> {
        let (from, to) = (&before.lifecycle, &step.next.lifecycle);
        (from != to).then(|| Self { from: from.clone(), to: to.clone(), template: step.template })
    }
}

/// Action of the actor once a state is adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FollowUp {
    /// Sends a command of the adopted generation. A host that is away does not get it, and brings an inventory when it
    /// is back.
    Send(Command),
    /// Reports to placement how much of its host the sandbox holds.
    Hold(Hold),
    /// Counts as a use: its idle time begins anew.
    NoteUse,
    /// Drops the idle time of a sandbox that is gone.
    ForgetUse,
    /// Requests an inventory of the host, for what it has said and an incarnation has lost.
    RequestInventory,
    /// Requests an inventory of the host, for templates on it that no row knows any more.
    SweepTemplates,
    /// Handles [`Input::TakeUp`], before any further message.
    TakeUp,
    /// Answers clients whose condition the adopted row fulfils.
    AnswerWaiters,
    /// Ends the actor after a while, if nothing happens to its sandbox by itself then either.
    Linger,
}

impl From<Effect> for FollowUp {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Send(command) => Self::Send(command),
            Effect::Hold(hold) => Self::Hold(hold),
        }
    }
}

/// Reason for which a request has no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBegun {
    /// The state does not allow it.
    Refused(Refusal),
    /// The host is away.
    HostAway,
}

/// Returns the step of a request. Nothing is begun on a host that is away, except for a removal.
///
/// # Errors
/// See [`NotBegun`].
pub fn step_for_request(state: &State, request: Request, is_online: bool) -> Result<Step, NotBegun> {
    let step = step(state, &Input::Operate(request)).map_err(|refusal| match refusal.status {
        SandboxStatus::Missing if !is_online => NotBegun::HostAway,
        _ => NotBegun::Refused(refusal),
    })?;
    let sends = step.effects.iter().any(|effect| matches!(effect, Effect::Send(_)));
    if sends && !is_online && request != Request::Destroy {
        return Err(NotBegun::HostAway);
    }
    Ok(step)
}

/// Returns true if nothing happens to such a sandbox by itself any more.
pub fn is_over(lifecycle: &Lifecycle) -> bool {
    lifecycle.operation.is_none()
        && matches!(
            lifecycle.status,
            SandboxStatus::Paused | SandboxStatus::Hibernated | SandboxStatus::Stopped | SandboxStatus::Error
        )
}

/// Incarnation of an actor that reads a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The first one.
    First,
    /// A later one: those before it failed.
    Restarted,
    /// Any, while another server speaks for the sandbox's host: it only reads.
    Elsewhere,
}

/// Returns the actions after a row was read, which is `None` if there is none.
pub fn after_load(row: Option<&Lifecycle>, reader: Reader) -> Vec<FollowUp> {
    // Clients of the incarnation before may have what they wait for already.
    let mut follow_ups = vec![FollowUp::AnswerWaiters];
    if let Some(lifecycle) = row.filter(|_| reader != Reader::Elsewhere) {
        // The incarnation that settled it may have failed before it said so.
        follow_ups.push(FollowUp::Hold(lifecycle.hold()));
        if reader == Reader::Restarted && lifecycle.end != End::Reached {
            // The message that the incarnation before was handling is lost, perhaps the end of a machine, which a paused
            // sandbox can have, too.
            follow_ups.push(FollowUp::RequestInventory);
        }
        follow_ups.push(FollowUp::TakeUp);
    }
    follow_ups.extend(end_if(row.is_none_or(is_over) || reader == Reader::Elsewhere, row));
    follow_ups
}

/// Returns the actions after the write of a step was committed.
pub fn after_commit(step: &Step) -> Vec<FollowUp> {
    let lifecycle = &step.next.lifecycle;
    let mut follow_ups = Vec::new();
    if lifecycle.status == SandboxStatus::Running && lifecycle.operation.is_none() {
        // An operation that ends in a running machine counts as use, above all a resumption.
        follow_ups.push(FollowUp::NoteUse);
    }
    follow_ups.extend(without_commit(step));
    if let Some(TemplateEffect::Publish { .. } | TemplateEffect::Discard(_)) = step.template {
        // The host may have files of a template that was replaced, or is not wanted any more.
        follow_ups.push(FollowUp::SweepTemplates);
    }
    follow_ups.push(FollowUp::AnswerWaiters);
    follow_ups.extend(end_if(is_over(lifecycle), Some(lifecycle)));
    follow_ups
}

/// Returns the actions of a step that writes nothing.
pub fn without_commit(step: &Step) -> impl Iterator<Item = FollowUp> + use<> {
    step.effects.clone().into_iter().map(FollowUp::from)
}

fn end_if(ends: bool, row: Option<&Lifecycle>) -> impl Iterator<Item = FollowUp> + use<> {
    let is_gone = row.is_some_and(|lifecycle| lifecycle.end == End::Reached);
    is_gone.then_some(FollowUp::ForgetUse).into_iter().chain(ends.then_some(FollowUp::Linger))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lifecycle::{Generation, Operation},
        sandbox::state::Outcome,
    };

    fn running() -> State {
        State::loaded(Lifecycle { status: SandboxStatus::Running, operation: None, ..Lifecycle::first() })
    }

    fn finished(state: &State, outcome: Outcome) -> Step {
        step(state, &Input::Finished { generation: state.lifecycle.generation, outcome }).unwrap()
    }

    #[test]
    fn a_command_is_sent_after_its_operation_is_committed() {
        let begun = step_for_request(&running(), Request::Pause, true).unwrap();
        let commit = Commit::of(&running(), &begun).unwrap();
        assert_eq!(commit.to.operation, Some(Operation::Pausing));
        assert_eq!(after_commit(&begun), [FollowUp::Send(Command::Pause), FollowUp::AnswerWaiters]);
    }

    #[test]
    fn what_is_held_is_reported_before_waiters_are_answered() {
        let begun = step_for_request(&running(), Request::Pause, true).unwrap();
        let paused = finished(&begun.next, Outcome::Paused);
        assert_eq!(
            after_commit(&paused),
            [FollowUp::Hold(paused.next.lifecycle.hold()), FollowUp::AnswerWaiters, FollowUp::Linger]
        );
    }

    #[test]
    fn a_template_that_ends_requests_an_inventory() {
        let template = crate::ids::TemplateId::new();
        let begun = step_for_request(&running(), Request::Snapshot(template), true).unwrap();
        let failed = finished(&begun.next, Outcome::Failed { message: String::new(), machine: None });
        assert_eq!(failed.template, Some(TemplateEffect::Discard(template)));
        assert_eq!(
            after_commit(&failed),
            [FollowUp::NoteUse, FollowUp::SweepTemplates, FollowUp::AnswerWaiters]
        );
    }

    #[test]
    fn a_step_that_leaves_the_row_as_it_is_has_no_commit() {
        let begun = step_for_request(&running(), Request::Pause, true).unwrap();
        let taken_up = step(&begun.next, &Input::TakeUp).unwrap();
        assert_eq!(Commit::of(&begun.next, &taken_up), None);
        assert_eq!(Vec::from_iter(without_commit(&taken_up)), [FollowUp::Send(Command::Pause)]);
    }

    #[test]
    fn only_a_removal_is_begun_on_a_host_that_is_away() {
        assert_eq!(step_for_request(&running(), Request::Pause, false), Err(NotBegun::HostAway));
        assert!(step_for_request(&running(), Request::Destroy, false).is_ok());
        // A request for what is so already sends nothing.
        let resume = Request::Resume(crate::sandbox::Memory::Keep);
        assert!(step_for_request(&running(), resume, false).is_ok());
        let missing = step(&running(), &Input::HostLost).unwrap().next;
        assert_eq!(step_for_request(&missing, Request::Pause, false), Err(NotBegun::HostAway));
        assert!(matches!(
            step_for_request(&missing, Request::Pause, true),
            Err(NotBegun::Refused(Refusal { status: SandboxStatus::Missing, .. }))
        ));
    }

    #[test]
    fn a_row_is_taken_up_after_what_it_holds_is_reported() {
        let row = Lifecycle { generation: Generation(3), ..running().lifecycle };
        let hold = FollowUp::Hold(row.hold());
        let taken_up = [FollowUp::AnswerWaiters, hold, FollowUp::TakeUp];
        assert_eq!(after_load(Some(&row), Reader::First), taken_up);
        assert_eq!(
            after_load(Some(&row), Reader::Restarted),
            [FollowUp::AnswerWaiters, hold, FollowUp::RequestInventory, FollowUp::TakeUp]
        );
    }

    #[test]
    fn a_restarted_actor_requests_an_inventory_also_of_a_sandbox_at_rest() {
        let paused = Lifecycle { status: SandboxStatus::Paused, ..running().lifecycle };
        assert!(after_load(Some(&paused), Reader::Restarted).contains(&FollowUp::RequestInventory));
        assert!(!after_load(Some(&paused), Reader::First).contains(&FollowUp::RequestInventory));
        let gone = Lifecycle { status: SandboxStatus::Stopped, end: End::Reached, ..paused };
        assert!(!after_load(Some(&gone), Reader::Restarted).contains(&FollowUp::RequestInventory));
    }

    #[test]
    fn an_actor_lingers_when_nothing_can_happen_or_another_server_decides() {
        let row = running().lifecycle;
        let lingers = [FollowUp::AnswerWaiters, FollowUp::Linger];
        assert_eq!(after_load(None, Reader::Restarted), lingers);
        assert_eq!(after_load(Some(&row), Reader::Elsewhere), lingers);
        let gone = Lifecycle { status: SandboxStatus::Stopped, end: End::Reached, ..row };
        let ended = after_load(Some(&gone), Reader::Restarted);
        assert!(ended.ends_with(&[FollowUp::TakeUp, FollowUp::ForgetUse, FollowUp::Linger]), "{ended:?}");
    }
}
