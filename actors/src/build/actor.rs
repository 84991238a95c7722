//! The actor of a build that runs here: it owns the attempt, keeps the lease, and settles what the attempt came to.
//!
//! ```text
//!   worker ─ claim ─▶ BuildActor ─┬─ attempt (a future) ─▶ success, failed, given back
//!                                 ├─ renews the lease; lost: the attempt is dropped
//!                                 └─ Abandon: the attempt is dropped
//! ```
//!
//! Whatever ends it, the capsules of the attempt are removed before the actor is gone, and its untested template with
//! them; should that fail, or the process end first, the [`keeper`](super::keeper) does it. After a panic the attempt is
//! lost, and the build given back.

use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, Supervised, WrapFuture,
};
use wrenn_base::Backoff;
use wrenn_domain::build::{Build, BuildEnd, Claim};
use wrenn_supervision::SupervisedContext;

use super::{
    desk::{Abandon, RunningAttempt},
    keeper::clean_up,
    run::{Attempt, AttemptError},
};
use crate::{ControlPlane, retry::until_answered};

/// How long a build belongs to a worker that says nothing.
pub(super) const LEASE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often a build is taken up.
pub(super) const MAX_ATTEMPTS: u32 = 5;
/// Rest of a build after a failure that is not its own fault.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// A build that runs here.
pub(crate) struct BuildActor {
    plane: ControlPlane,
    claim: Claim,
    build: Build,
    attempt: Option<SpawnHandle>,
    running: Option<RunningAttempt>,
}

impl BuildActor {
    pub(super) fn new(plane: ControlPlane, claim: Claim, build: Build) -> Self {
        Self { plane, claim, build, attempt: None, running: None }
    }

    /// Writes what became of the attempt, and ends.
    fn settle(&mut self, outcome: Result<BuildEnd, AttemptError>, ctx: &mut Context<Self>) {
        self.attempt = None;
        let (plane, claim, team) = (self.plane.clone(), self.claim, self.build.order.team_id);
        let settle = async move {
            let store = &plane.parts.store;
            let again = |reason: String| {
                if claim.attempt >= MAX_ATTEMPTS {
                    Err(BuildEnd::Failed(format!("{reason} (given up after {MAX_ATTEMPTS} attempts)")))
                } else {
                    Ok(reason)
                }
            };
            let end = match outcome {
                Ok(end) => Err(end),
                Err(AttemptError::Final(reason)) => Err(BuildEnd::Failed(reason)),
                Err(AttemptError::Again(reason)) => again(reason),
            };
            match end {
                Err(end) => {
                    let written = until_answered("build_finish", || store.build_finish(claim, &end)).await;
                    tracing::info!(build = %claim.build, ?end, written, "build ended");
                }
                Ok(reason) => {
                    tracing::warn!(build = %claim.build, reason, "build is given back");
                    let delay = BACKOFF.plain_delay(claim.attempt);
                    until_answered("build_give_back", || store.build_give_back(claim, &reason, delay)).await;
                }
            }
            plane.parts.builds.news.tell(claim.build);
            clean_up(&plane, claim.build, team).await;
        };
        ctx.spawn(settle.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn renew(&mut self, ctx: &mut Context<Self>) {
        let (store, claim) = (self.plane.parts.store.clone(), self.claim);
        let renew = async move { store.build_renew(claim, LEASE).await };
        ctx.spawn(renew.into_actor(self).map(|renewed, actor, ctx| match renewed {
            Ok(true) => {}
            Ok(false) => {
                if let Some(attempt) = actor.attempt.take() {
                    tracing::info!(build = %actor.claim.build, "the build is not this worker's any more");
                    ctx.cancel_future(attempt);
                    let plane = actor.plane.clone();
                    let (build, team) = (actor.claim.build, actor.build.order.team_id);
                    let clean_up = async move { clean_up(&plane, build, team).await };
                    ctx.spawn(clean_up.into_actor(actor).map(|(), _, ctx| ctx.stop()));
                }
            }
            // Should that go on, somebody else takes the build, and this attempt writes nothing any more.
            Err(error) => {
                tracing::warn!(build = %actor.claim.build, error = &error as &dyn std::error::Error, "a lease is not renewed");
            }
        }));
    }
}

impl Actor for BuildActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.running = Some(self.plane.parts.builds.run(self.claim, ctx.address().recipient()));
        ctx.run_interval(RENEW_EVERY, Self::renew);
        if ctx.incarnation() > 1 {
            let reason = "something went wrong on the server while it was built".to_owned();
            return self.settle(Err(AttemptError::Again(reason)), ctx);
        }
        let attempt = Attempt { plane: self.plane.clone(), claim: self.claim, build: self.build.clone() };
        let run = async move { attempt.run().await };
        let run = run.into_actor(self).map(|outcome, actor, ctx| actor.settle(outcome, ctx));
        self.attempt = Some(ctx.spawn(run));
    }
}

impl Supervised for BuildActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.attempt = None;
    }
}

impl Handler<Abandon> for BuildActor {
    type Result = ();

    fn handle(&mut self, Abandon: Abandon, ctx: &mut Context<Self>) {
        if let Some(attempt) = self.attempt.take() {
            ctx.cancel_future(attempt);
        }
        ctx.stop();
    }
}
