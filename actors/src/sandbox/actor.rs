//! The actor of one sandbox: the only writer of its row's lifecycle.
//!
//! ```text
//!  client, host ──▶ mailbox ──▶ step() ──▶ UPDATE … WHERE generation = ─▶ effects ──▶ host connection
//!                                                                     └▶ waiters
//! ```
//!
//! It is started on demand and begins by reading its row; if an operation is in flight it sends that
//! operation's command (again). So the first send, a restart after a panic, a new server and a host that is
//! back are one code path, and a resend is harmless because the host answers an equal generation with the
//! recorded outcome. While the row is read or written no other message is handled.
//!
//! What fails: a panic costs the message being handled; those who wait are kept and answered by the next
//! incarnation. While the database is away, observations wait in front of the mailbox and requests fail. If
//! somebody else wrote the row, the actor gives up on itself and reads it again. It finds that out when it writes, or
//! from the reconciler's next look ([`RowRead`](super::RowRead)): a write whose server was killed can be committed late. It ends a while after
//! nothing can happen to its sandbox any more; a later message starts it anew.

use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture,
    fut::{LocalBoxActorFuture, ready},
};
use wrenn_domain::{
    action::Action,
    audit::{self, AuditIntent},
    host::Attachment,
    lifecycle::{End, Lifecycle, Operation, SandboxStatus},
    principal::SystemReason,
    sandbox::{
        Sandbox,
        handling::{
            Commit, FollowUp, NotBegun, Reader, after_commit, after_load, is_over, step_for_request,
            without_commit,
        },
        invariants,
        state::{Input, State, Step, TemplateEffect},
        step,
    },
    template::TemplateChange,
};
use wrenn_proto::ids::SandboxId;
use wrenn_store::sandboxes::TransitionError;
use wrenn_supervision::{CallError, SupervisedContext};

use super::{
    load::{Loaded, SandboxParts, Trust, load},
    messages::{OperationRequest, UnlessBegun, Until, UseTarget, Wait},
    writes::{audit_of, ending, new_template},
};
use crate::{OperationError, host::SendCommand, retry::until_decided};

/// How long the actor outlives the last thing that can happen to its sandbox.
const LINGER: Duration = Duration::from_secs(5);

pub(crate) struct SandboxActor {
    pub(super) id: SandboxId,
    pub(super) parts: SandboxParts,
    pub(super) current: Option<Current>,
    pub(super) waiters: Vec<Wait>,
    /// Time at which the operation in flight was committed, if that was in this incarnation.
    begun: Option<Instant>,
}

/// What is known: the row as it was written last, and what was observed since.
pub(super) struct Current {
    pub(super) row: Sandbox,
    state: State,
    /// The attachment under which the row was read, and is written; `None` if another server speaks for its host.
    attachment: Option<Attachment>,
}

fn is_reached(until: Until, lifecycle: &Lifecycle) -> bool {
    match until {
        Until::Settled => lifecycle.operation.is_none(),
        Until::Gone => lifecycle.operation != Some(Operation::Destroying),
    }
}

impl SandboxActor {
    pub(crate) fn new(id: SandboxId, parts: SandboxParts) -> Self {
        Self { id, parts, current: None, waiters: Vec::new(), begun: None }
    }

    /// Reads the row, before any further message is handled.
    fn load(&self, ctx: &mut Context<Self>) {
        let trust = if ctx.incarnation() > 1 { Trust::Nothing } else { Trust::Known };
        ctx.wait(self.read(trust).map(|row, actor, ctx| actor.loaded(row, ctx)));
    }

    pub(super) fn read(&self, trust: Trust) -> LocalBoxActorFuture<Self, Loaded> {
        let (parts, id) = (self.parts.clone(), self.id);
        Box::pin(async move { load(&parts, id, trust).await }.into_actor(self))
    }

    /// Returns true if the row was read under the attachment that its host has by now.
    pub(super) fn is_fresh(&self) -> bool {
        self.current.as_ref().is_none_or(|current| {
            let held = self.parts.hosts.held(current.row.host_id).map(|held| held.attachment);
            held == current.attachment
        })
    }

    /// Reads the row again if its host was taken or lost meanwhile: another server may have written it.
    pub(super) fn refreshed(&self) -> LocalBoxActorFuture<Self, ()> {
        if self.is_fresh() {
            return Box::pin(ready(()));
        }
        Box::pin(self.read(Trust::Known).map(|row, actor: &mut Self, ctx| actor.loaded(row, ctx)))
    }

    pub(super) fn knows(&self, lifecycle: &Lifecycle) -> bool {
        self.current.as_ref().is_none_or(|current| current.row.lifecycle == *lifecycle)
    }

    pub(super) fn loaded(&mut self, row: Loaded, ctx: &mut Context<Self>) {
        self.current = row.map(|(row, attachment)| {
            let state = State::loaded(row.lifecycle.clone());
            Current { row, state, attachment }
        });
        let reader = match &self.current {
            Some(Current { attachment: None, .. }) => Reader::Elsewhere,
            _ if ctx.incarnation() > 1 => Reader::Restarted,
            _ => Reader::First,
        };
        let lifecycle = self.current.as_ref().map(|current| &current.row.lifecycle);
        self.carry_out(after_load(lifecycle, reader), ctx);
    }

    /// Lets an observation have its effect, however long the database takes.
    pub(super) fn observe(&self, input: Input) -> LocalBoxActorFuture<Self, ()> {
        let Some(current) = &self.current else { return Box::pin(ready(())) };
        let Some(attachment) = current.attachment else {
            tracing::debug!(sandbox = %self.id, ?input, "another server speaks for the sandbox's host");
            return Box::pin(ready(()));
        };
        let step = match step(&current.state, &input) {
            Ok(step) => step,
            Err(refusal) => {
                tracing::error!(sandbox = %self.id, %refusal, "an observation was refused");
                return Box::pin(ready(()));
            }
        };
        if let Some(ignored) = step.ignored {
            tracing::debug!(sandbox = %self.id, ?input, ?ignored, "observation ignored");
        }
        let (store, id) = (self.parts.store.clone(), self.id);
        let Some(Commit { from, to, template }) = Commit::of(&current.state, &step) else {
            return self.adopt_unwritten(step);
        };
        self.check(&step);
        let template = template.and_then(ending);
        let audit = audit_of(&current.row, &step, None);
        let write = async move {
            let write = || store.sandbox_transition(id, attachment, &from, &to, template.as_ref(), &audit);
            until_decided("sandbox_transition", write).await
        };
        Box::pin(write.into_actor(self).map(|row, actor, ctx| match row {
            Ok(row) => actor.written(row, step, ctx).unwrap_or_default(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(sandbox = %actor.id, error, "an observation cannot be written");
                ctx.fail("the database refuses an observation");
            }
        }))
    }

    /// Begins an operation, or says why not.
    pub(super) fn operate(
        &self,
        wanted: &OperationRequest,
        intent: AuditIntent,
        unless_begun: UnlessBegun,
    ) -> LocalBoxActorFuture<Self, Result<Sandbox, OperationError>> {
        let Some(current) = &self.current else {
            return Box::pin(ready(Err(OperationError::NotFound(self.id))));
        };
        let intent = intent.in_team(current.row.team_id).named(self.id);
        let host = current.row.host_id;
        let Some(attachment) = current.attachment else {
            if current.row.lifecycle.end == End::Reached {
                // The sandbox ended with its host, so there is no attachment.
                return Box::pin(ready(Err(OperationError::Destroyed(self.id))));
            }
            return Box::pin(ready(Err(OperationError::Elsewhere { sandbox: self.id, host })));
        };
        let is_online = self.parts.hosts.is_online(host);
        let step = match step_for_request(&current.state, wanted.request(), is_online) {
            Ok(step) => step,
            Err(NotBegun::HostAway) => {
                return Box::pin(ready(Err(OperationError::HostAway { sandbox: self.id, host })));
            }
            Err(NotBegun::Refused(refusal)) => return Box::pin(ready(Err(OperationError::Refused(refusal)))),
        };
        let (store, id) = (self.parts.store.clone(), self.id);
        let Some(Commit { from, to, template }) = Commit::of(&current.state, &step) else {
            let row = current.row.clone();
            let joined = row.lifecycle.operation.and(row.audit_id);
            let note = async move {
                match (unless_begun, joined) {
                    (UnlessBegun::Skip, _) => Ok(true),
                    (UnlessBegun::Write, Some(joined)) => store.audit_join(&intent, joined, attachment).await,
                    (UnlessBegun::Write, None) => store.audit_note(&intent).await.map(|()| true),
                }
            };
            let note = note.into_actor(self).map(|noted, actor: &mut Self, ctx: &mut Context<Self>| {
                match noted {
                    Ok(true) => {}
                    // The operation that it would join may have ended there.
                    Ok(false) => {
                        ctx.fail("another server speaks for the sandbox's host");
                        return Err(OperationError::Unanswered(actor.id, CallError::NotDelivered));
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(sandbox = %actor.id, error, "audit entry was lost");
                    }
                }
                Ok(row)
            });
            return Box::pin(note.then(move |answer, actor, _| {
                let adopted = match answer {
                    Ok(_) => actor.adopt_unwritten(step),
                    Err(_) => Box::pin(ready(())),
                };
                adopted.map(move |(), _, _| answer)
            }));
        };
        self.check(&step);
        let template = match (template, wanted) {
            (Some(TemplateEffect::Begin(_)), OperationRequest::Template(order)) => {
                Some(TemplateChange::Begin(new_template(&current.row, order)))
            }
            (effect, _) => effect.and_then(ending),
        };
        let audit = audit_of(&current.row, &step, Some(intent));
        // A removal is never refused, also not for what the host may have to spare for it.
        let grows = *wanted != OperationRequest::Destroy && from.hold() < to.hold();
        let (placement, row) = (self.parts.placement.clone(), current.row.clone());
        let write = async move {
            if grows {
                // What it had was given to others meanwhile, perhaps.
                let admitted = placement.readmit(&row, to.hold()).await;
                admitted
                    .map_err(|error| {
                        // It may have reserved the room all the same.
                        placement.held(&row, from.hold());
                        OperationError::Unanswered(id, error)
                    })?
                    .map_err(OperationError::NoRoom)?;
            }
            let written =
                store.sandbox_transition(id, attachment, &from, &to, template.as_ref(), &audit).await;
            if grows && !matches!(written, Ok(Some(_))) {
                placement.held(&row, from.hold());
            }
            written.map_err(|error| match error {
                TransitionError::Name(error) => OperationError::Name(error),
                TransitionError::NotAdmitted(refusal) => OperationError::NotAdmitted(refusal),
                TransitionError::Store(error) => OperationError::Store(error),
            })
        };
        Box::pin(write.into_actor(self).map(|written: Result<_, OperationError>, actor, ctx| match written {
            Ok(row) => {
                // An overtaken write has changed nothing.
                let overtaken = || OperationError::Unanswered(actor.id, CallError::NotDelivered);
                let answer = row.clone().ok_or_else(overtaken);
                actor.written(row, step, ctx);
                answer
            }
            Err(failure) => {
                if let OperationError::Store(error) = &failure
                    && !error.changed_nothing()
                {
                    // The statement may have been committed all the same.
                    ctx.fail("the outcome of a write is unknown");
                }
                Err(failure)
            }
        }))
    }

    fn check(&self, step: &Step) {
        if let Some(current) = &self.current {
            let checked = invariants::check_step(&current.state, step);
            debug_assert_eq!(checked, Ok(()), "{:?} → {step:?}", current.state);
        }
    }

    fn adopt_unwritten(&self, step: Step) -> LocalBoxActorFuture<Self, ()> {
        Box::pin(ready(()).map(move |(), actor: &mut Self, ctx| {
            let follow_ups = without_commit(&step);
            if let Some(current) = &mut actor.current {
                current.state = step.next;
            }
            actor.carry_out(follow_ups, ctx);
        }))
    }

    /// Adopts what was committed; none if somebody else was first.
    fn written(&mut self, row: Option<Sandbox>, step: Step, ctx: &mut Context<Self>) -> Option<()> {
        let Some(row) = row else {
            ctx.fail("somebody else wrote the row");
            return None;
        };
        let Lifecycle { status, operation, generation, .. } = &row.lifecycle;
        let operation = operation.map(Operation::as_str);
        tracing::info!(sandbox = %self.id, %status, operation, %generation, "sandbox changed");
        self.note_duration(&row.lifecycle, &step);
        let follow_ups = after_commit(&step);
        let attachment = self.current.as_ref().and_then(|current| current.attachment);
        self.current = Some(Current { row, state: step.next, attachment });
        self.carry_out(follow_ups, ctx);
        Some(())
    }

    /// Notes the end of an operation, and the beginning of another one. A start begins with the row; the beginning of
    /// other operations is unknown to an actor that has loaded a row with one in flight, so they are not noted.
    fn note_duration(&mut self, after: &Lifecycle, step: &Step) {
        let Some(Current { row, .. }) = &self.current else { return };
        let before = &row.lifecycle;
        let is_published = matches!(step.template, Some(TemplateEffect::Publish { .. }));
        let outcome = audit::outcome_of_step(before, after, is_published);
        if after.operation.is_none() {
            self.parts.traces.forget(self.id);
        }
        if let Some((operation, outcome)) = before.operation.zip(outcome) {
            let took = match (operation, self.begun.take()) {
                (Operation::Starting, _) => (self.parts.clock.utc() - row.created_at).to_std().ok(),
                (_, begun) => begun.map(|begun| self.parts.clock.now() - begun),
            };
            if let Some(took) = took {
                self.parts.instruments.operation_settled(operation, &outcome, took);
            }
        }
        if after.operation.is_some() && after.generation != before.generation {
            self.begun = Some(self.parts.clock.now());
        }
    }

    fn carry_out(&mut self, follow_ups: impl IntoIterator<Item = FollowUp>, ctx: &mut Context<Self>) {
        for follow_up in follow_ups {
            match (follow_up, &self.current) {
                (FollowUp::Send(command), Some(Current { row, .. })) => {
                    self.parts.hosts.send(
                        row.host_id,
                        SendCommand::for_sandbox(row, command, self.parts.traces.of(self.id)),
                    );
                }
                (FollowUp::Hold(hold), Some(Current { row, .. })) => self.parts.placement.held(row, hold),
                (FollowUp::RequestInventory | FollowUp::SweepTemplates, Some(Current { row, .. })) => {
                    self.parts.due.soon(row.host_id);
                }
                (FollowUp::NoteUse, _) => self.parts.activity.note(self.id),
                (FollowUp::ForgetUse, _) => self.parts.activity.forget(self.id),
                (FollowUp::TakeUp, _) => {
                    // The step is that of the state by then: what waits before it may change it.
                    let take_up = ready(()).into_actor(self);
                    ctx.wait(take_up.then(|(), actor: &mut Self, _| actor.observe(Input::TakeUp)));
                }
                (FollowUp::AnswerWaiters, _) => self.answer_waiters(),
                (FollowUp::Linger, _) => Self::linger(ctx),
                // Without a row there is no host.
                (_, None) => {}
            }
        }
    }

    pub(super) fn prepare_use(&self) -> UseTarget {
        let Some(current) = &self.current else { return UseTarget::NotFound };
        let host = current.row.host_id;
        if current.attachment.is_none() && current.row.lifecycle.end != End::Reached {
            return UseTarget::Elsewhere(host);
        }
        let lifecycle = &current.row.lifecycle;
        if lifecycle.status != SandboxStatus::Running || lifecycle.operation.is_some() {
            let auto_resume = current.row.auto_resume;
            return UseTarget::NotRunning { lifecycle: lifecycle.clone(), auto_resume };
        }
        self.parts.activity.note(self.id);
        UseTarget::On(host)
    }

    pub(super) fn set_timeout(
        &self,
        timeout_sec: u32,
        intent: AuditIntent,
    ) -> LocalBoxActorFuture<Self, Result<Sandbox, OperationError>> {
        let current = self.current.as_ref().filter(|current| current.row.lifecycle.end != End::Reached);
        let Some(current) = current else {
            return Box::pin(ready(Err(OperationError::NotFound(self.id))));
        };
        let Some(attachment) = current.attachment else {
            let host = current.row.host_id;
            return Box::pin(ready(Err(OperationError::Elsewhere { sandbox: self.id, host })));
        };
        let (store, id) = (self.parts.store.clone(), self.id);
        let write = async move { store.sandbox_set_timeout(id, attachment, timeout_sec, &intent).await };
        Box::pin(write.into_actor(self).map(|written, actor, ctx| match written {
            Ok(row) => {
                let Some(row) = row else {
                    ctx.fail("somebody else wrote the row");
                    return Err(OperationError::Unanswered(actor.id, CallError::NotDelivered));
                };
                if let Some(current) = &mut actor.current {
                    current.row.timeout_sec = row.timeout_sec;
                }
                actor.parts.activity.note(actor.id);
                Ok(row)
            }
            Err(error) => {
                if !error.changed_nothing() {
                    // The statement may have been committed all the same.
                    ctx.fail("the outcome of a write is unknown");
                }
                Err(OperationError::Store(error))
            }
        }))
    }

    pub(super) fn pause_idle(&self) -> LocalBoxActorFuture<Self, ()> {
        let intent = AuditIntent::system(SystemReason::Idle, Action::SandboxPause).of(self.id);
        let pause = self.operate(&OperationRequest::Pause, intent, UnlessBegun::Skip);
        Box::pin(pause.map(|begun, actor, _| {
            match begun {
                Ok(_) => tracing::info!(sandbox = %actor.id, "pausing idle sandbox"),
                // The team has as many paused sandboxes as its quota allows, so this one runs on. The idle watch asks every
                // second: not a line for each.
                Err(OperationError::NotAdmitted(refusal)) => {
                    tracing::debug!(sandbox = %actor.id, %refusal, "idle sandbox not paused");
                }
                // The next look tries again.
                Err(failure) => {
                    tracing::warn!(sandbox = %actor.id, ?failure, "an idle sandbox was not paused");
                }
            }
        }))
    }

    pub(super) fn answer_waiters(&mut self) {
        let row = self.current.as_ref().map(|current| &current.row);
        for waiter in std::mem::take(&mut self.waiters) {
            match row {
                Some(row) if !is_reached(waiter.until, &row.lifecycle) => self.waiters.push(waiter),
                // A client that has left changes nothing.
                _ => drop(waiter.reply.send(row.cloned())),
            }
        }
    }

    fn linger(ctx: &mut Context<Self>) {
        ctx.run_later(LINGER, |actor, ctx| {
            let is_elsewhere = |current: &Current| {
                current.attachment.is_none() && actor.parts.hosts.held(current.row.host_id).is_none()
            };
            let is_over = |current: &Current| is_elsewhere(current) || is_over(&current.row.lifecycle);
            if actor.current.as_ref().is_none_or(is_over) {
                ctx.stop();
            }
        });
    }
}

impl Actor for SandboxActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.load(ctx);
    }
}

impl Supervised for SandboxActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // `started` reads the row again. Those who wait still do.
        self.current = None;
    }
}
