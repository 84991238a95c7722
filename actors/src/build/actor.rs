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
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, Supervised,
    WrapFuture,
};
use wrenn_domain::build::{Build, BuildEnd, Claim};
use wrenn_supervision::SupervisedContext;

use super::{
    keeper::clean_up,
    run::{Attempt, AttemptError},
};
use crate::{ControlPlane, retry::until_answered};

/// How long a build belongs to a worker that says nothing.
pub(super) const LEASE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often a build is taken up.
pub(super) const MAX_ATTEMPTS: u32 = 5;
/// After the first failure of what is not the build's fault; twice as long after each further one.
const FIRST_DELAY: Duration = Duration::from_secs(2);

/// A build that runs here.
pub(crate) struct BuildActor {
    plane: ControlPlane,
    claim: Claim,
    build: Build,
    attempt: Option<SpawnHandle>,
}

/// Somebody else has settled the build: nothing more is to be done for it. Answered when nothing is done any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Abandon;

impl BuildActor {
    pub(super) fn new(plane: ControlPlane, claim: Claim, build: Build) -> Self {
        Self { plane, claim, build, attempt: None }
    }

    /// Writes what became of the attempt, and ends.
    fn settle(&mut self, outcome: Result<BuildEnd, AttemptError>, ctx: &mut Context<Self>) {
        self.attempt = None;
        let (plane, claim) = (self.plane.clone(), self.claim);
        let settle = async move {
            let store = &plane.shared.store;
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
                    let delay = FIRST_DELAY * 2_u32.pow(claim.attempt - 1);
                    until_answered("build_give_back", || store.build_give_back(claim, &reason, delay)).await;
                }
            }
            plane.shared.build_news.tell(claim.build);
            clean_up(&plane, claim.build).await;
        };
        ctx.spawn(settle.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn renew(&mut self, ctx: &mut Context<Self>) {
        let (store, claim) = (self.plane.shared.store.clone(), self.claim);
        let renew = async move { store.build_renew(claim, LEASE).await };
        ctx.spawn(renew.into_actor(self).map(|renewed, actor, ctx| match renewed {
            Ok(true) => {}
            Ok(false) => {
                if let Some(attempt) = actor.attempt.take() {
                    tracing::info!(build = %actor.claim.build, "the build is not this worker's any more");
                    ctx.cancel_future(attempt);
                    let plane = actor.plane.clone();
                    let build = actor.claim.build;
                    let clean_up = async move { clean_up(&plane, build).await };
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
