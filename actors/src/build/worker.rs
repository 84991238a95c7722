//! A worker: takes up one build after the other.
//!
//! News that wakes it is only a hint: it always takes the build whose turn it is, and looks again before it waits. A worker
//! that fails is restarted and takes up the next build; the one that it had goes on, as it has an actor of its own.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};
use tokio::time::{sleep, timeout};
use wrenn_domain::build::{Build, BuildEnd, BuildableTeams, Claim};
use wrenn_supervision::{Child, Registry};

use super::{
    actor::{BuildActor, LEASE, MAX_ATTEMPTS},
    desk::BuildDesk,
    queue::BuildQueue,
};
use crate::{ControlPlane, directory::Arbiters, retry::until_answered};

/// How long news is waited for before somebody looks all the same.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long Redis is left alone when it does not answer.
const REDIS_PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct BuildWorker {
    plane: ControlPlane,
    arbiters: Arbiters,
    living: Registry<Claim, BuildActor>,
}

impl BuildWorker {
    pub(crate) fn new(plane: ControlPlane, arbiters: Arbiters, living: Registry<Claim, BuildActor>) -> Self {
        Self { plane, arbiters, living }
    }

    /// Has a build worked on until nothing more is to be done for it.
    async fn take_up(&self, claim: Claim, build: Build) {
        let parts = &self.plane.parts;
        parts.builds.news.tell(claim.build);
        if claim.attempt > MAX_ATTEMPTS {
            // Each time its worker was gone before it could say why.
            let reason = format!("it was interrupted {MAX_ATTEMPTS} times");
            let end = BuildEnd::Failed(
                build.error.map_or(reason.clone(), |last| format!("{reason}; the last: {last}")),
            );
            until_answered("build_finish", || parts.store.build_finish(claim, &end)).await;
            parts.builds.news.tell(claim.build);
            return;
        }
        tracing::info!(build = %claim.build, attempt = claim.attempt, name = build.order.name, "build is taken up");
        let child: Child<BuildActor> = self.living.get_or_spawn(claim, || {
            let plane = self.plane.clone();
            self.arbiters
                .spawn("build", claim.build.to_string(), move |_| BuildActor::new(plane, claim, build))
        });
        child.wait_exit().await;
    }
}

impl Actor for BuildWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let worker = self.clone();
        let work = async move {
            loop {
                let parts = &worker.plane.parts;
                let teams = parts.hosts.buildable_teams();
                if teams == BuildableTeams::default() {
                    // Another server, to which hosts are attached, takes builds up.
                    parts.clock.sleep(LOOK_EVERY).await;
                    continue;
                }
                let store = &parts.store;
                match until_answered("build_claim", || store.build_claim(LEASE, &teams)).await {
                    Some((claim, build)) => worker.take_up(claim, build).await,
                    None => news(&worker.plane.parts.builds).await,
                }
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}

impl Supervised for BuildWorker {}

/// Waits until there may be something to do.
async fn news(desk: &BuildDesk) {
    let told = desk.wake.notified();
    match &desk.queue {
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
