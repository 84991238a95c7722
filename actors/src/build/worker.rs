//! A worker: takes up one build after the other.
//!
//! What it is woken by is only a hint: it always takes the build that waits longest, and looks again before it waits. A
//! worker that fails is restarted and takes up the next build; the one that it had goes on, as it has an actor of its
//! own.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};
use tokio::time::{sleep, timeout};
use wrenn_domain::build::{Build, BuildEnd, Claim};
use wrenn_supervision::Child;

use super::{
    actor::{BuildActor, LEASE, MAX_ATTEMPTS},
    queue::BuildQueue,
};
use crate::{
    ControlPlane,
    retry::until_answered,
    shared::{Shared, spec},
};

/// How long news is waited for before somebody looks all the same.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long Redis is left alone when it does not answer.
const REDIS_PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct BuildWorker {
    plane: ControlPlane,
}

impl BuildWorker {
    pub(super) fn new(plane: ControlPlane) -> Self {
        Self { plane }
    }
}

impl Actor for BuildWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let plane = self.plane.clone();
        let work = async move {
            loop {
                let store = &plane.shared.store;
                match until_answered("build_claim", || store.build_claim(LEASE)).await {
                    Some((claim, build)) => take_up(&plane, claim, build).await,
                    None => news(&plane.shared).await,
                }
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}

impl Supervised for BuildWorker {}

/// Has a build worked on until nothing more is to be done for it.
async fn take_up(plane: &ControlPlane, claim: Claim, build: Build) {
    let shared = &plane.shared;
    shared.build_news.tell(claim.build);
    if claim.attempt > MAX_ATTEMPTS {
        // Each time its worker was gone before it could say why.
        let reason = format!("it was interrupted {MAX_ATTEMPTS} times");
        let end = BuildEnd::Failed(
            build.error.map_or(reason.clone(), |last| format!("{reason}; the last: {last}")),
        );
        until_answered("build_finish", || shared.store.build_finish(claim, &end)).await;
        shared.build_news.tell(claim.build);
        return;
    }
    tracing::info!(build = %claim.build, attempt = claim.attempt, name = build.order.name, "build is taken up");
    let child: Child<BuildActor> = shared.builds.get_or_spawn(claim, || {
        let plane = plane.clone();
        shared.spawn(spec("build", claim.build.to_string()), move |_| BuildActor::new(plane, claim, build))
    });
    child.wait_exit().await;
}

/// Waits until there may be something to do.
async fn news(shared: &Arc<Shared>) {
    let told = shared.build_wake.notified();
    match &shared.queue {
        Some(queue) => tokio::select! {
            () = told => {}
            () = queue_news(queue) => {}
        },
        None => drop(timeout(LOOK_EVERY, told).await),
    }
}

async fn queue_news(queue: &BuildQueue) {
    if let Err(error) = queue.wait(LOOK_EVERY).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "the queue does not answer");
        sleep(REDIS_PAUSE).await;
    }
}
