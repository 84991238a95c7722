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
//! somebody else wrote the row, the actor gives up on itself and reads it again. It ends a while after
//! nothing can happen to its sandbox any more; a later message starts it anew.

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Supervised,
    WrapFuture,
    fut::{LocalBoxActorFuture, ready},
};
use tokio::time::Instant;
use wrenn_proto::ids::SandboxId;
use wrenn_store::{
    StoreError,
    lifecycle::{Lifecycle, Operation, SandboxStatus},
    sandboxes::Sandbox,
};
use wrenn_supervision::SupervisedContext;

use super::{
    invariants,
    messages::{
        CaughtUp, ExecTarget, InjectPanic, Observe, Operate, OperateFailure, PrepareExec, Until, Wait,
    },
    state::{Effect, Input, State, Step, step},
};
use crate::{
    host::{LookAgain, SendCommand},
    placement::Release,
    retry::{until_answered, until_decided},
    shared::Shared,
};

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
    lifecycle.operation.is_none() && matches!(lifecycle.status, SandboxStatus::Stopped | SandboxStatus::Error)
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

    fn loaded(&mut self, row: Option<Sandbox>, ctx: &mut Context<Self>) {
        self.current = row.map(Current::of);
        // Those who waited for the incarnation before may have what they wait for already.
        self.answer_waiters();
        if let Some(current) = &self.current {
            if !current.row.lifecycle.holds_resources() {
                // The incarnation that settled it may have failed before it said so.
                self.shared.placement().do_send(Release(self.id));
            }
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
        let write = async move {
            until_decided("sandbox_transition", || store.sandbox_transition(id, &from, &to)).await
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
    fn operate(&self, wanted: Operation) -> LocalBoxActorFuture<Self, Result<Sandbox, OperateFailure>> {
        let Some(current) = &self.current else {
            return Box::pin(ready(Err(OperateFailure::NotFound)));
        };
        let step = match step(&current.state, &Input::Operate(wanted)) {
            Ok(step) => step,
            Err(refusal) => return Box::pin(ready(Err(OperateFailure::Refused(refusal)))),
        };
        let (store, id) = (self.shared.store.clone(), self.id);
        let (from, to) = (current.state.lifecycle.clone(), step.next.lifecycle.clone());
        if from == to {
            let row = current.row.clone();
            return Box::pin(self.adopt_unwritten(step).map(|(), _, _| Ok(row)));
        }
        self.check(&step);
        let write = async move { store.sandbox_transition(id, &from, &to).await };
        Box::pin(write.into_actor(self).map(|written: Result<_, StoreError>, actor, ctx| match written {
            Ok(row) => {
                let answer = row.clone().ok_or(OperateFailure::Overtaken);
                actor.written(row, step, ctx).ok_or(OperateFailure::Overtaken)?;
                answer
            }
            Err(error) => {
                // The statement may have been committed all the same.
                ctx.fail("the outcome of a write is unknown");
                Err(OperateFailure::Store(error))
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
        self.current = Some(Current { row, state: step.next });
        self.carry_out(&step.effects);
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
                Effect::ReleaseReservation => self.shared.placement().do_send(Release(self.id)),
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
    type Result = AtomicResponse<Self, Result<Sandbox, OperateFailure>>;

    fn handle(&mut self, Operate(wanted): Operate, _: &mut Context<Self>) -> Self::Result {
        AtomicResponse::new(self.operate(wanted))
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

impl Handler<PrepareExec> for SandboxActor {
    type Result = ExecTarget;

    fn handle(&mut self, _: PrepareExec, ctx: &mut Context<Self>) -> ExecTarget {
        let Some(current) = &self.current else { return ExecTarget::NotFound };
        let lifecycle = &current.row.lifecycle;
        if lifecycle.status != SandboxStatus::Running || lifecycle.operation.is_some() {
            return ExecTarget::NotRunning(lifecycle.clone());
        }
        let host = current.row.host_id;
        self.touch(ctx);
        ExecTarget::On(host)
    }
}

impl Handler<InjectPanic> for SandboxActor {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Context<Self>) {
        panic!("injected into sandbox {}", self.id);
    }
}
