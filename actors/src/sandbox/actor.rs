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
//! from the reconciler's next look ([`RowRead`]): a write whose server was killed can be committed late. It ends a while after
//! nothing can happen to its sandbox any more; a later message starts it anew.

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Supervised,
    WrapFuture,
    fut::{LocalBoxActorFuture, ready},
};
use chrono::Utc;
use tokio::time::Instant;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    lifecycle::{End, Lifecycle, Operation, SandboxStatus},
    principal::SystemReason,
    sandbox::{
        Sandbox, invariants,
        state::{Effect, Input, Refusal, State, Step, TemplateEffect},
        step,
    },
    template::TemplateChange,
};
use wrenn_proto::ids::SandboxId;
use wrenn_store::sandboxes::TransitionError;
use wrenn_supervision::{CallError, SupervisedContext, call_within};

use super::{
    messages::{
        CaughtUp, InjectPanic, Observe, Operate, OperationRequest, PauseIfIdle, PrepareUse, RowRead,
        SetTimeout, UnlessBegun, Until, UseTarget, Wait,
    },
    writes::{audit_of, ending, new_template},
};
use crate::{
    OperationError,
    host::{LookAgain, SendCommand},
    placement::{Held, Readmit},
    retry::{until_answered, until_decided},
    shared::Shared,
};

/// How long placement may take to say whether there is room.
const ADMITTED_WITHIN: Duration = Duration::from_secs(10);
/// How long the actor outlives the last thing that can happen to its sandbox.
const LINGER: Duration = Duration::from_secs(5);

pub(crate) struct SandboxActor {
    id: SandboxId,
    shared: Arc<Shared>,
    current: Option<Current>,
    waiters: Vec<Wait>,
    touched: Option<Instant>,
}

/// What is known: the row as it was written last, and what was observed since.
struct Current {
    row: Sandbox,
    state: State,
}

impl Current {
    fn of(row: Sandbox) -> Self {
        Self { state: State::loaded(row.lifecycle.clone()), row }
    }
}

/// Nothing happens to such a sandbox by itself any more.
fn is_over(lifecycle: &Lifecycle) -> bool {
    lifecycle.operation.is_none()
        && matches!(
            lifecycle.status,
            SandboxStatus::Paused | SandboxStatus::Hibernated | SandboxStatus::Stopped | SandboxStatus::Error
        )
}

fn is_reached(until: Until, lifecycle: &Lifecycle) -> bool {
    match until {
        Until::Settled => lifecycle.operation.is_none(),
        Until::Gone => lifecycle.operation != Some(Operation::Destroying),
    }
}

impl SandboxActor {
    pub(crate) fn new(id: SandboxId, shared: Arc<Shared>) -> Self {
        Self { id, shared, current: None, waiters: Vec::new(), touched: None }
    }

    /// Reads the row, before any further message is handled.
    fn load(&self, ctx: &mut Context<Self>) {
        let (store, id) = (self.shared.store.clone(), self.id);
        let load = async move { until_answered("sandbox_load", || store.sandbox_load(id)).await };
        ctx.wait(load.into_actor(self).map(|row, actor, ctx| actor.loaded(row, ctx)));
    }

    fn knows(&self, lifecycle: &Lifecycle) -> bool {
        self.current.as_ref().is_none_or(|current| current.row.lifecycle == *lifecycle)
    }

    fn loaded(&mut self, row: Option<Sandbox>, ctx: &mut Context<Self>) {
        self.current = row.map(Current::of);
        // Those who waited for the incarnation before may have what they wait for already.
        self.answer_waiters();
        if let Some(current) = &self.current {
            // The incarnation that settled it may have failed before it said so.
            self.shared.placement().do_send(Held::by(&current.row, current.row.lifecycle.hold()));
            if ctx.incarnation() > 1 && !is_over(&current.row.lifecycle) {
                // What the incarnation before was handling is lost, perhaps the end of the machine.
                self.shared.host(current.row.host_id).do_send(LookAgain);
            }
            ctx.wait(self.observe(Input::TakeUp));
        }
        self.end_if_over(ctx);
    }

    /// Lets an observation have its effect, however long the database takes.
    fn observe(&self, input: Input) -> LocalBoxActorFuture<Self, ()> {
        let Some(current) = &self.current else { return Box::pin(ready(())) };
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
        let (store, id) = (self.shared.store.clone(), self.id);
        let (from, to) = (current.state.lifecycle.clone(), step.next.lifecycle.clone());
        if from == to {
            return self.adopt_unwritten(step);
        }
        self.check(&step);
        let template = step.template.and_then(ending);
        let audit = audit_of(&current.row, &step, None);
        let write = async move {
            let write = || store.sandbox_transition(id, &from, &to, template.as_ref(), &audit);
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
    fn operate(
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
        let is_online = self.shared.board.is_online(host);
        let step = match step(&current.state, &Input::Operate(wanted.request())) {
            Ok(step) => step,
            Err(Refusal { status: SandboxStatus::Missing, .. }) if !is_online => {
                return Box::pin(ready(Err(OperationError::HostAway { sandbox: self.id, host })));
            }
            Err(refusal) => return Box::pin(ready(Err(OperationError::Refused(refusal)))),
        };
        let sends = step.effects.iter().any(|effect| matches!(effect, Effect::Send(_)));
        if sends && !is_online && *wanted != OperationRequest::Destroy {
            return Box::pin(ready(Err(OperationError::HostAway { sandbox: self.id, host })));
        }
        let (store, id) = (self.shared.store.clone(), self.id);
        let (from, to) = (current.state.lifecycle.clone(), step.next.lifecycle.clone());
        if from == to {
            let row = current.row.clone();
            let joined = row.lifecycle.operation.and(row.audit_id);
            let note = async move {
                match (unless_begun, joined) {
                    (UnlessBegun::Skip, _) => Ok(()),
                    (UnlessBegun::Write, Some(joined)) => store.audit_join(&intent, joined).await,
                    (UnlessBegun::Write, None) => store.audit_note(&intent).await,
                }
            };
            let note = note.into_actor(self).map(|noted, actor: &mut Self, _: &mut Context<Self>| {
                if let Err(error) = noted {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(sandbox = %actor.id, error, "audit entry was lost");
                }
            });
            return Box::pin(
                note.then(move |(), actor, _| actor.adopt_unwritten(step).map(move |(), _, _| Ok(row))),
            );
        }
        self.check(&step);
        let template = match (step.template, wanted) {
            (Some(TemplateEffect::Begin(_)), OperationRequest::Template(order)) => {
                Some(TemplateChange::Begin(new_template(&current.row, order)))
            }
            (effect, _) => effect.and_then(ending),
        };
        let audit = audit_of(&current.row, &step, Some(intent));
        // A removal is never refused, also not for what the host may have to spare for it.
        let grows = *wanted != OperationRequest::Destroy && from.hold() < to.hold();
        let (placement, row) = (self.shared.placement(), current.row.clone());
        let write = async move {
            if grows {
                // What it had was given to others meanwhile, perhaps.
                let admitted = call_within(&placement, Readmit::of(&row, to.hold()), ADMITTED_WITHIN).await;
                admitted
                    .map_err(|error| {
                        // It may have reserved the room all the same.
                        placement.do_send(Held::by(&row, from.hold()));
                        OperationError::Unanswered(id, error)
                    })?
                    .map_err(OperationError::NoRoom)?;
            }
            let written = store.sandbox_transition(id, &from, &to, template.as_ref(), &audit).await;
            if grows && !matches!(written, Ok(Some(_))) {
                placement.do_send(Held::by(&row, from.hold()));
            }
            written.map_err(|error| match error {
                TransitionError::Name(error) => OperationError::Name(error),
                TransitionError::Store(error) => OperationError::Store(error),
            })
        };
        Box::pin(write.into_actor(self).map(|written: Result<_, OperationError>, actor, ctx| match written {
            Ok(row) => {
                let answer =
                    row.clone().ok_or(OperationError::Unanswered(actor.id, CallError::MayHaveExecuted));
                actor
                    .written(row, step, ctx)
                    .ok_or(OperationError::Unanswered(actor.id, CallError::MayHaveExecuted))?;
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
        Box::pin(ready(()).map(move |(), actor: &mut Self, _| {
            if let Some(current) = &mut actor.current {
                current.state = step.next;
            }
            actor.carry_out(&step.effects);
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
        if row.lifecycle.status == SandboxStatus::Running && row.lifecycle.operation.is_none() {
            // What was done to it counts as use, above all that it was resumed.
            self.shared.activity.note(self.id);
        }
        self.current = Some(Current { row, state: step.next });
        self.carry_out(&step.effects);
        if let (Some(TemplateEffect::Publish { .. } | TemplateEffect::Discard(_)), Some(current)) =
            (step.template, &self.current)
        {
            // It may have files of a template that was replaced, or is not wanted any more.
            self.shared.host(current.row.host_id).do_send(LookAgain);
        }
        self.answer_waiters();
        self.end_if_over(ctx);
        Some(())
    }

    fn carry_out(&self, effects: &[Effect]) {
        let Some(current) = &self.current else { return };
        for effect in effects {
            match effect {
                Effect::Send(command) => {
                    let host = self.shared.host(current.row.host_id);
                    // Past the mailbox's bound: there is one command per sandbox, and it must not get lost.
                    host.do_send(SendCommand::for_sandbox(&current.row, *command));
                }
                Effect::Hold(hold) => self.shared.placement().do_send(Held::by(&current.row, *hold)),
            }
        }
    }

    fn answer_waiters(&mut self) {
        let row = self.current.as_ref().map(|current| &current.row);
        for waiter in std::mem::take(&mut self.waiters) {
            match row {
                Some(row) if !is_reached(waiter.until, &row.lifecycle) => self.waiters.push(waiter),
                // A client that has left changes nothing.
                _ => drop(waiter.reply.send(row.cloned())),
            }
        }
    }

    fn end_if_over(&self, ctx: &mut Context<Self>) {
        if self.current.as_ref().is_some_and(|current| current.row.lifecycle.end == End::Reached) {
            self.shared.activity.forget(self.id);
        }
        let is_over =
            |actor: &Self| actor.current.as_ref().is_none_or(|current| is_over(&current.row.lifecycle));
        if is_over(self) {
            ctx.run_later(LINGER, move |actor, ctx| {
                if is_over(actor) {
                    ctx.stop();
                }
            });
        }
    }

    fn touch(&mut self, ctx: &mut Context<Self>) {
        self.shared.activity.note(self.id);
        let now = Instant::now();
        let is_recent = self
            .touched
            .is_some_and(|touched| now.duration_since(touched) < self.shared.config.touch_interval);
        if is_recent {
            return;
        }
        self.touched = Some(now);
        let (store, id) = (self.shared.store.clone(), self.id);
        let touch = async move {
            if let Err(error) = store.sandbox_touch(id).await {
                tracing::warn!(sandbox = %id, %error, "activity was not noted");
            }
        };
        ctx.spawn(touch.into_actor(self));
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
        self.touched = None;
    }
}

impl Handler<Operate> for SandboxActor {
    type Result = AtomicResponse<Self, Result<Sandbox, OperationError>>;

    fn handle(
        &mut self,
        Operate { wanted, intent, unless_begun }: Operate,
        _: &mut Context<Self>,
    ) -> Self::Result {
        AtomicResponse::new(self.operate(&wanted, intent, unless_begun))
    }
}

impl Handler<SetTimeout> for SandboxActor {
    type Result = AtomicResponse<Self, Result<Sandbox, OperationError>>;

    fn handle(
        &mut self,
        SetTimeout { timeout_sec, intent }: SetTimeout,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (store, id) = (self.shared.store.clone(), self.id);
        let write = async move { store.sandbox_set_timeout(id, timeout_sec, &intent).await };
        AtomicResponse::new(Box::pin(write.into_actor(self).map(|written, actor, ctx| match written {
            Ok(row) => {
                let row = row.ok_or(OperationError::NotFound(actor.id))?;
                if let Some(current) = &mut actor.current {
                    current.row.timeout_sec = row.timeout_sec;
                }
                actor.touch(ctx);
                Ok(row)
            }
            Err(error) => {
                if !error.changed_nothing() {
                    // The statement may have been committed all the same.
                    ctx.fail("the outcome of a write is unknown");
                }
                Err(OperationError::Store(error))
            }
        })))
    }
}

impl Handler<PauseIfIdle> for SandboxActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: PauseIfIdle, _: &mut Context<Self>) -> Self::Result {
        let is_idle = self.current.as_ref().is_some_and(|Current { row, .. }| {
            let timeout = Duration::from_secs(row.timeout_sec.into());
            let used = row.last_active_at.map(|used| (Utc::now() - used).to_std().unwrap_or_default());
            let is_settled =
                row.lifecycle.status == SandboxStatus::Running && row.lifecycle.operation.is_none();
            is_settled
                && !timeout.is_zero()
                && self.shared.activity.idle_for(self.id).or(used).is_some_and(|idle| idle >= timeout)
        });
        if !is_idle {
            return AtomicResponse::new(Box::pin(ready(())));
        }
        tracing::info!(sandbox = %self.id, "pausing idle sandbox");
        let intent = AuditIntent::system(SystemReason::Idle, Action::SandboxPause).of(self.id);
        AtomicResponse::new(Box::pin(self.operate(&OperationRequest::Pause, intent, UnlessBegun::Skip).map(
            |begun, actor, _| {
                if let Err(failure) = begun {
                    // The next look tries again.
                    tracing::warn!(sandbox = %actor.id, ?failure, "an idle sandbox was not paused");
                }
            },
        )))
    }
}

impl Handler<Observe> for SandboxActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, Observe { from, input }: Observe, _: &mut Context<Self>) -> Self::Result {
        if let Some(current) = &self.current
            && current.row.host_id != from
        {
            tracing::warn!(sandbox = %self.id, host = %from, ?input, "a host speaks for another one's sandbox");
            return AtomicResponse::new(Box::pin(ready(())));
        }
        AtomicResponse::new(self.observe(input))
    }
}

impl Handler<RowRead> for SandboxActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, RowRead(lifecycle): RowRead, _: &mut Context<Self>) -> Self::Result {
        if self.knows(&lifecycle) {
            return AtomicResponse::new(Box::pin(ready(())));
        }
        // Mostly the actor has written since; then the row is what it knows.
        let (store, id) = (self.shared.store.clone(), self.id);
        let read = async move { until_answered("sandbox_load", || store.sandbox_load(id)).await };
        AtomicResponse::new(Box::pin(read.into_actor(self).map(|row, actor, ctx| {
            if row.as_ref().is_none_or(|row| !actor.knows(&row.lifecycle)) {
                tracing::warn!(sandbox = %actor.id, "an earlier incarnation wrote the row; it is read again");
                actor.loaded(row, ctx);
            }
        })))
    }
}

impl Handler<CaughtUp> for SandboxActor {
    type Result = ();

    fn handle(&mut self, _: CaughtUp, _: &mut Context<Self>) {}
}

impl Handler<Wait> for SandboxActor {
    type Result = ();

    fn handle(&mut self, wait: Wait, _: &mut Context<Self>) {
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        self.waiters.push(wait);
        self.answer_waiters();
    }
}

impl Handler<PrepareUse> for SandboxActor {
    type Result = UseTarget;

    fn handle(&mut self, _: PrepareUse, ctx: &mut Context<Self>) -> UseTarget {
        let Some(current) = &self.current else { return UseTarget::NotFound };
        let lifecycle = &current.row.lifecycle;
        if lifecycle.status != SandboxStatus::Running || lifecycle.operation.is_some() {
            let auto_resume = current.row.auto_resume;
            return UseTarget::NotRunning { lifecycle: lifecycle.clone(), auto_resume };
        }
        let host = current.row.host_id;
        self.touch(ctx);
        UseTarget::On(host)
    }
}

impl Handler<InjectPanic> for SandboxActor {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Context<Self>) {
        panic!("injected into sandbox {}", self.id);
    }
}
