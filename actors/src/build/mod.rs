//! Builds: recipes become templates.
//!
//! ```text
//!   build_announce ─▶ news in Redis
//!                                      │
//!        BuildWorker ◀─────────────────┘   claims the build that waits longest, in Postgres
//!             └─▶ BuildActor ─▶ attempt: capsule, steps, healthcheck, template, test
//!                     ▲ Abandon
//!   build_abandon ────┘                    the row first, then the actor, then the capsule
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | `plan`, `copy`, `lines` | what is to be done, what is copied, what is kept of the output: pure |
//! | `run`, `steps`, `health`, `capsule` | one attempt |
//! | `log`, `news` | what it prints, and who is told |
//! | `actor`, `worker`, `keeper`, `queue` | who works on what, and who looks after what is left |
//!
//! **Truth.** The row of a build decides. An attempt holds it by a lease and a number; see [`wrenn_store::builds`].
//!
//! **Failure.** A worker, an actor or a whole server may go at any moment: the lease runs out, and the build is taken up
//! again, from the last step whose disk was kept. Its capsules carry build and attempt, so whatever they belong to that is
//! over is removed. A template of a build is `testing` until a capsule of it has worked, and ready in the transaction in
//! which the build succeeds.

mod actor;
mod capsule;
mod health;
mod keeper;
mod lines;
mod log;
pub(crate) mod news;
mod queue;
mod run;
mod steps;
mod worker;

use std::time::Duration;

use tokio::sync::watch;
use wrenn_domain::{
    build::{Build, Claim},
    ids::BuildId,
};
use wrenn_supervision::call_within;

use self::keeper::clean_up;
pub use self::queue::QueueError;
pub(crate) use self::{
    actor::{Abandon, BuildActor},
    keeper::BuildKeeper,
    queue::BuildQueue,
    worker::BuildWorker,
};
use crate::{ControlPlane, objects::Objects};

/// How long an actor may take to let a build go.
const ABANDONED_WITHIN: Duration = Duration::from_secs(5);

impl ControlPlane {
    /// Wakes a worker for a build that was just written.
    pub async fn build_announce(&self, id: BuildId) {
        self.shared.build_wake.notify_one();
        if let Some(queue) = &self.shared.queue
            && let Err(error) = queue.push(id).await
        {
            // The next look of a worker finds it.
            tracing::warn!(build = %id, error = &error as &dyn std::error::Error, "queue was not told of a build");
        }
    }

    /// Ends the work on a build that was cancelled, and waits until nothing of it is left, for some seconds at most.
    pub async fn build_abandon(&self, build: &Build) {
        let (plane, id) = (self.clone(), build.id);
        let attempt = Claim { build: id, attempt: build.attempt };
        // A task of its own, so that the rest is done if the caller leaves.
        let rest = tokio::spawn(async move {
            if let Some(actor) = plane.shared.builds.get(&attempt) {
                // One that has failed, or is on another server, learns it when it renews its lease.
                let _ = call_within(&actor, Abandon, ABANDONED_WITHIN).await;
            }
            plane.shared.build_news.tell(id);
            clean_up(&plane, id).await;
        });
        let _ = rest.await;
    }

    /// Says from now on when something about a build has changed that runs on this server; what it is, the database says.
    pub fn build_follow(&self, id: BuildId) -> watch::Receiver<()> {
        self.shared.build_news.follow(id)
    }

    /// Returns the way to the objects.
    pub fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    /// Succeeds when the queue answers, or if there is none.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn queue_ping(&self) -> Result<(), QueueError> {
        match &self.shared.queue {
            Some(queue) => queue.ping().await,
            None => Ok(()),
        }
    }

    /// Starts those who work on builds and those who look after them.
    pub(crate) fn start_builds(&self, root: &wrenn_supervision::Root) {
        let keeper = {
            let shared = self.shared.clone();
            let spec = root.adopt(crate::shared::spec("build_keeper", "build_keeper".to_owned()));
            self.shared.spawn(spec, move |_| BuildKeeper::new(shared))
        };
        let workers = (0..self.shared.config.builds.workers).map(|number| {
            let plane = self.clone();
            let spec = root.adopt(crate::shared::spec("build_worker", format!("build_worker {number}")));
            self.shared.spawn(spec, move |_| BuildWorker::new(plane))
        });
        self.shared.adopt_builders(keeper, workers.collect());
    }
}
