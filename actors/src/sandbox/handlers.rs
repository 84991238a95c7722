//! The messages that a sandbox's actor is told and asked.
//!
//! Whatever depends on the row begins with a look whether its host was taken or lost since the row was read.

use actix::{ActorFutureExt, AtomicResponse, Context, Handler, WrapFuture, fut::ready};
use wrenn_domain::sandbox::Sandbox;

use super::{
    actor::SandboxActor,
    load::Trust,
    messages::{
        CaughtUp, InjectPanic, Observe, Operate, PauseIfIdle, PrepareUse, RowRead, SetTimeout, UseTarget,
        Wait,
    },
};
use crate::OperationError;

impl Handler<Operate> for SandboxActor {
    type Result = AtomicResponse<Self, Result<Sandbox, OperationError>>;

    fn handle(
        &mut self,
        Operate { wanted, intent, unless_begun }: Operate,
        _: &mut Context<Self>,
    ) -> Self::Result {
        AtomicResponse::new(Box::pin(
            self.refreshed().then(move |(), actor, _| actor.operate(&wanted, intent, unless_begun)),
        ))
    }
}

impl Handler<SetTimeout> for SandboxActor {
    type Result = AtomicResponse<Self, Result<Sandbox, OperationError>>;

    fn handle(
        &mut self,
        SetTimeout { timeout_sec, intent }: SetTimeout,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let set = self.refreshed().then(move |(), actor, _| actor.set_timeout(timeout_sec, intent));
        AtomicResponse::new(Box::pin(set))
    }
}

impl Handler<PauseIfIdle> for SandboxActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: PauseIfIdle, _: &mut Context<Self>) -> Self::Result {
        if self.parts.activity.is_in_use(self.id) {
            return AtomicResponse::new(Box::pin(ready(())));
        }
        // Between the look and this message a use may have been written.
        let (store, id) = (self.parts.store.clone(), self.id);
        let look = async move { store.sandbox_is_idle(id).await };
        let look = self.refreshed().then(|(), actor, _| look.into_actor(actor));
        AtomicResponse::new(Box::pin(look.then(|idle, actor: &mut Self, _| match idle {
            Ok(true) => actor.pause_idle(),
            Ok(false) => Box::pin(ready(())),
            Err(error) => {
                // The next look tries again.
                tracing::warn!(sandbox = %actor.id, %error, "cannot look whether a sandbox is idle");
                Box::pin(ready(()))
            }
        })))
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
        AtomicResponse::new(Box::pin(self.refreshed().then(move |(), actor, _| actor.observe(input))))
    }
}

impl Handler<RowRead> for SandboxActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, RowRead(lifecycle): RowRead, _: &mut Context<Self>) -> Self::Result {
        if self.knows(&lifecycle) && self.is_fresh() {
            return AtomicResponse::new(Box::pin(ready(())));
        }
        // Mostly the actor has written since; then the row is what it knows.
        AtomicResponse::new(Box::pin(self.read(Trust::Known).map(|row, actor, ctx| {
            if row.as_ref().is_none_or(|(row, _)| !actor.knows(&row.lifecycle)) || !actor.is_fresh() {
                tracing::info!(sandbox = %actor.id, "another server or incarnation may have written the row; it is read again");
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
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, wait: Wait, _: &mut Context<Self>) -> Self::Result {
        AtomicResponse::new(Box::pin(self.refreshed().map(|(), actor, _| {
            actor.waiters.retain(|waiter| !waiter.reply.is_closed());
            actor.waiters.push(wait);
            actor.answer_waiters();
        })))
    }
}

impl Handler<PrepareUse> for SandboxActor {
    type Result = AtomicResponse<Self, UseTarget>;

    fn handle(&mut self, _: PrepareUse, _: &mut Context<Self>) -> Self::Result {
        AtomicResponse::new(Box::pin(self.refreshed().map(|(), actor, _| actor.prepare_use())))
    }
}

impl Handler<InjectPanic> for SandboxActor {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Context<Self>) {
        panic!("injected into sandbox {}", self.id);
    }
}
