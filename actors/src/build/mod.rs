//! Builds: recipes become templates.
//!
//! ```text
//!   build_announce ─▶ news in Redis
//!                                      │
//!        BuildWorker ◀─────────────────┘   claims the build whose turn it is, in Postgres
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
//! | `desk` | what they share with those who ask for builds |
//!
//! **Truth.** The row of a build decides. An attempt holds it by a lease and a number; see [`wrenn_store::builds`].
//!
//! **Failure.** A worker, an actor or a whole server may go at any moment: the lease runs out, and the build is taken up
//! again, from the last step whose disk was kept. Its capsules carry build and attempt, so whatever they belong to that is
//! over is removed. A template of a build is `testing` until a capsule of it has worked, and ready in the transaction in
//! which the build succeeds.

mod actor;
mod capsule;
mod desk;
mod health;
mod keeper;
mod lines;
mod log;
mod news;
mod queue;
mod run;
mod steps;
mod worker;

use self::keeper::clean_up;
pub use self::queue::QueueError;
pub(crate) use self::{
    actor::BuildActor, desk::BuildDesk, keeper::look_after_builds, queue::BuildQueue, worker::BuildWorker,
};
use crate::{ControlPlane, objects::Objects};
use tokio::sync::watch;
use wrenn_domain::{
    build::{Build, Claim},
    ids::BuildId,
};

impl ControlPlane {
    /// Wakes a worker for a build that was just written.
    pub async fn build_announce(&self, id: BuildId) {
        self.parts.builds.wake.notify_one();
        if let Some(queue) = &self.parts.builds.queue
            && let Err(error) = queue.push(id).await
        {
            // The next look of a worker finds it.
            tracing::warn!(build = %id, error = &error as &dyn std::error::Error, "queue was not told of a build");
        }
    }

    /// Ends the work on a build that was cancelled, and waits until nothing of it is left, for some seconds at most.
    pub async fn build_abandon(&self, build: &Build) {
        let (plane, id, team) = (self.clone(), build.id, build.order.team_id);
        let attempt = Claim { build: id, attempt: build.attempt };
        // A task of its own, so that the rest is done if the caller leaves.
        let rest = tokio::spawn(async move {
            plane.parts.builds.abandon(attempt).await;
            plane.parts.builds.news.tell(id);
            clean_up(&plane, id, team).await;
        });
        let _ = rest.await;
    }

    /// Says from now on when something about a build has changed that runs on this server; what it is, the database says.
    pub fn build_follow(&self, id: BuildId) -> watch::Receiver<()> {
        self.parts.builds.news.follow(id)
    }

    /// Returns the way to the objects.
    pub fn objects(&self) -> &Objects {
        &self.parts.objects
    }

    /// Succeeds when the queue answers, or if there is none.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn queue_ping(&self) -> Result<(), QueueError> {
        match &self.parts.builds.queue {
            Some(queue) => queue.ping().await,
            None => Ok(()),
        }
    }
}
