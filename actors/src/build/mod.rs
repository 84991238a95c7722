//! Builds: recipes become templates.
//!
//! ```text
//!   build_create ─▶ row, archive ─▶ news in Redis
//!                                      │
//!        BuildWorker ◀─────────────────┘   claims the build that waits longest, in Postgres
//!             └─▶ BuildActor ─▶ attempt: capsule, steps, healthcheck, template, test
//!                     ▲ Abandon
//!   build_cancel ─────┘                    the row first, then the actor, then the capsule
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
use wrenn_domain::build::{Build, BuildOrder, NewBuild, plan::PlanError};
use wrenn_proto::ids::{BuildId, TeamId};
use wrenn_store::{StoreError, builds::BuildInsertError};
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
use wrenn_domain::archive::Contents;
use wrenn_domain::build::plan::{ArchiveIndex, Base, Order, plan};

/// How long an actor may take to let a build go.
const ABANDONED_WITHIN: Duration = Duration::from_secs(5);

/// Why a build was not taken in. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BuildCreateError {
    /// It cannot be carried out as it is.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An archive came, and nothing is copied from it.
    #[error("archive: the recipe copies nothing from it; add a COPY, or leave it out")]
    UselessArchive,
    /// There is nothing to begin with.
    #[error("base_template: the platform has no template `{0}`")]
    NoBase(String),
    /// What it begins with has a machine of another size in it.
    #[error("base_template: `{template}` holds a machine with {field} {holds}; ask for as much")]
    OtherSize {
        /// The base template.
        template: String,
        /// What differs.
        field: &'static str,
        /// What the machine has.
        holds: u32,
    },
    /// The name is that of an image that every host is given.
    #[error("name: `{0}` belongs to an image that comes with the platform; choose another one")]
    Reserved(String),
    /// A build of that name has not ended.
    #[error("name: a build of `{0}` is pending or running; wait for it, or cancel it")]
    InUse(String),
    /// The database failed.
    #[error("the build cannot be written")]
    Store(#[from] StoreError),
}

/// Why a build was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum BuildCancelError {
    /// There is none.
    #[error("there is no build {0}")]
    NotFound(BuildId),
    /// It has ended.
    #[error("the build has ended already: {}", .0.status.as_str())]
    Ended(Box<Build>),
    /// The database failed.
    #[error("the build cannot be read or written")]
    Store(#[from] StoreError),
}

impl ControlPlane {
    /// Takes a build in, with the name of its archive's object and what is in it; it is carried out when a worker is free.
    ///
    /// # Errors
    /// See [`BuildCreateError`]; the archive, if there is one, is the caller's to remove then.
    pub async fn build_create(
        &self,
        order: BuildOrder,
        archive: Option<(String, Contents)>,
    ) -> Result<Build, BuildCreateError> {
        let store = &self.shared.store;
        let base = store.template_find(TeamId::PLATFORM, &order.base_template).await?;
        let base = base.ok_or_else(|| BuildCreateError::NoBase(order.base_template.clone()))?;
        for (field, holds, wanted) in
            [("vcpus", base.vcpus, order.vcpus), ("memory_mb", base.memory_mb, order.memory_mb)]
        {
            let holds = holds.map(i32::unsigned_abs).filter(|holds| *holds != wanted);
            if let Some(holds) = holds {
                return Err(BuildCreateError::OtherSize { template: order.base_template, field, holds });
            }
        }
        if store.build_name_is_reserved(&order.name).await? {
            return Err(BuildCreateError::Reserved(order.name));
        }
        let planned = Base {
            id: base.id,
            default_user: base.default_user,
            default_env: base.default_env,
            disk_size_mb: order.disk_size_mb,
        };
        let (archive, contents) = archive.unzip();
        let index =
            contents.map(|Contents { entries, .. }| ArchiveIndex { entries, digests: Default::default() });
        let wanted = Order {
            recipe: &order.recipe,
            healthcheck: order.healthcheck.as_deref(),
            skip_pre_post: order.skip_pre_post,
        };
        let plan = plan(wanted, &planned, index.as_ref())?;
        if index.is_some() && !plan.copies_something() {
            return Err(BuildCreateError::UselessArchive);
        }
        let total_steps = plan.total_steps();
        let new = NewBuild { id: BuildId::new(), order, archive, total_steps };
        let build = store.build_insert(&new).await.map_err(|error| match error {
            BuildInsertError::NameInUse => BuildCreateError::InUse(new.order.name),
            BuildInsertError::Store(error) => BuildCreateError::Store(error),
        })?;
        self.shared.build_wake.notify_one();
        if let Some(queue) = &self.shared.queue
            && let Err(error) = queue.push(build.id).await
        {
            // Whoever looks finds it.
            tracing::warn!(error = &error as &dyn std::error::Error, "the queue was not told of a build");
        }
        Ok(build)
    }

    /// Cancels a build, and waits until nothing of it is left, for some seconds at most.
    ///
    /// # Errors
    /// See [`BuildCancelError`].
    pub async fn build_cancel(&self, id: BuildId) -> Result<Build, BuildCancelError> {
        let store = &self.shared.store;
        let Some(build) = store.build_cancel(id).await? else {
            return Err(match store.build_fetch(id).await? {
                Some(build) => BuildCancelError::Ended(Box::new(build)),
                None => BuildCancelError::NotFound(id),
            });
        };
        tracing::info!(build = %id, "build is cancelled");
        // What follows is done also if nobody waits for it.
        let plane = self.clone();
        let attempt = wrenn_domain::build::Claim { build: id, attempt: build.attempt };
        let rest = tokio::spawn(async move {
            if let Some(actor) = plane.shared.builds.get(&attempt) {
                // One that has failed, or is on another server, learns it when it renews its lease.
                let _ = call_within(&actor, Abandon, ABANDONED_WITHIN).await;
            }
            plane.shared.build_news.tell(id);
            clean_up(&plane, id).await;
        });
        let _ = rest.await;
        Ok(build)
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
