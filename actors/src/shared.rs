//! What all actors of one control plane share: the way to the database, to each other, and their threads.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix::Addr;
use tokio::sync::Notify;
use wrenn_domain::build::Claim;
use wrenn_proto::ids::{HostId, SandboxId};
use wrenn_store::Store;
use wrenn_supervision::{ArbiterPool, Backoff, Child, ChildSpec, Registry, RestartLimit, Restartable, Root};

use crate::{
    activity::Activity,
    build::{BuildActor, BuildKeeper, BuildQueue, BuildWorker, news::BuildNews},
    config::Config,
    host::{HostConnection, board::HostBoard},
    idle::IdleWatch,
    objects::Objects,
    placement::Placement,
    retention::Retention,
    sandbox::SandboxActor,
    transfer::{ObjectSweep, TransferDesk, Uploads},
    tunnel::TunnelDesk,
};

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) board: HostBoard,
    pub(crate) desk: TunnelDesk,
    pub(crate) transfers: TransferDesk,
    pub(crate) uploads: Uploads,
    pub(crate) activity: Activity,
    pub(crate) sandboxes: Registry<SandboxId, SandboxActor>,
    pub(crate) hosts: Registry<HostId, HostConnection>,
    pub(crate) builds: Registry<Claim, BuildActor>,
    pub(crate) build_news: BuildNews,
    /// Wakes a worker that waits for a build.
    pub(crate) build_wake: Notify,
    pub(crate) queue: Option<BuildQueue>,
    pub(crate) objects: Objects,
    builders: OnceLock<(Child<BuildKeeper>, Vec<Child<BuildWorker>>)>,
    placement: OnceLock<Child<Placement>>,
    idle_watch: OnceLock<Child<IdleWatch>>,
    object_sweep: OnceLock<Child<ObjectSweep>>,
    retention: OnceLock<Child<Retention>>,
    arbiters: ArbiterPool,
}

/// Questions that an actor may leave unanswered before it refuses more; each is short.
const CAPACITY: usize = 4096;

/// A failure costs a moment, and many failures are no reason to give up on a sandbox or a host.
pub(crate) fn spec(kind: &'static str, name: String) -> ChildSpec {
    ChildSpec::new(kind, name)
        .capacity(CAPACITY)
        .backoff(Backoff::new(Duration::from_millis(20), Duration::from_secs(5)))
        .limit(RestartLimit::new(30, Duration::from_secs(120)))
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        queue: Option<BuildQueue>,
        objects: Objects,
        config: Config,
        arbiters: ArbiterPool,
    ) -> Self {
        Self {
            store,
            config,
            board: HostBoard::default(),
            desk: TunnelDesk::default(),
            transfers: TransferDesk::default(),
            uploads: Uploads::default(),
            activity: Activity::default(),
            sandboxes: Registry::new(),
            hosts: Registry::new(),
            builds: Registry::new(),
            build_news: BuildNews::default(),
            build_wake: Notify::new(),
            queue,
            objects,
            builders: OnceLock::new(),
            placement: OnceLock::new(),
            idle_watch: OnceLock::new(),
            object_sweep: OnceLock::new(),
            retention: OnceLock::new(),
            arbiters,
        }
    }

    /// Starts placement; once, before anything else is started.
    pub(crate) fn start_placement(self: &Arc<Self>, root: &Root) {
        self.placement.get_or_init(|| {
            let shared = self.clone();
            let spec = root.adopt(spec("placement", "placement".to_owned()));
            self.arbiters.spawn(spec, move |_| Placement::new(shared))
        });
    }

    /// Starts looking for sandboxes that nobody uses; once.
    pub(crate) fn start_idle_watch(self: &Arc<Self>, root: &Root) {
        self.idle_watch.get_or_init(|| {
            let shared = self.clone();
            let spec = root.adopt(spec("idle_watch", "idle_watch".to_owned()));
            self.arbiters.spawn(spec, move |_| IdleWatch::new(shared))
        });
    }

    /// Starts removing objects that nobody needs; once.
    pub(crate) fn start_object_sweep(self: &Arc<Self>, root: &Root) {
        self.object_sweep.get_or_init(|| {
            let shared = self.clone();
            let spec = root.adopt(spec("object_sweep", "object_sweep".to_owned()));
            self.arbiters.spawn(spec, move |_| ObjectSweep::new(shared))
        });
    }

    /// Starts removing what is older than it is kept; once.
    pub(crate) fn start_retention(self: &Arc<Self>, root: &Root) {
        self.retention.get_or_init(|| {
            let shared = self.clone();
            let spec = root.adopt(spec("retention", "retention".to_owned()));
            self.arbiters.spawn(spec, move |_| Retention::new(shared))
        });
    }

    /// Returns the address of placement.
    pub(crate) fn placement(&self) -> Addr<Placement> {
        #[expect(clippy::expect_used, reason = "set before the first actor that asks is started")]
        self.placement.get().expect("placement was started").addr()
    }

    /// Returns the address of a sandbox's actor, which is started if it does not live.
    pub(crate) fn sandbox(self: &Arc<Self>, id: SandboxId) -> Addr<SandboxActor> {
        let start = || {
            let shared = self.clone();
            self.arbiters.spawn(spec("sandbox", id.to_string()), move |_| SandboxActor::new(id, shared))
        };
        self.sandboxes.get_or_spawn(id, start).addr()
    }

    /// Returns the address of a host's connection, which is started if it does not live.
    pub(crate) fn host(self: &Arc<Self>, id: HostId) -> Addr<HostConnection> {
        let start = || {
            let shared = self.clone();
            self.arbiters.spawn(spec("host", id.to_string()), move |_| HostConnection::new(id, shared))
        };
        self.hosts.get_or_spawn(id, start).addr()
    }

    /// Starts an actor on the thread that has the fewest.
    pub(crate) fn spawn<A>(
        &self,
        spec: ChildSpec,
        factory: impl FnOnce(&mut A::Context) -> A + Send + 'static,
    ) -> Child<A>
    where
        A: Restartable,
    {
        self.arbiters.spawn(spec, factory)
    }

    /// Takes those who have to do with builds, so that they end first.
    pub(crate) fn adopt_builders(&self, keeper: Child<BuildKeeper>, workers: Vec<Child<BuildWorker>>) {
        let _ = self.builders.set((keeper, workers));
    }

    /// Returns the names of the arbiters and how many actors live on each.
    pub(crate) fn loads(&self) -> Vec<(String, usize)> {
        self.arbiters.loads()
    }

    /// Ends all actors and waits until they have ended: first those that start others.
    pub(crate) async fn end_actors(&self) {
        if let Some((keeper, workers)) = self.builders.get() {
            keeper.kill();
            keeper.wait_exit().await;
            workers.iter().for_each(Child::kill);
            for worker in workers {
                worker.wait_exit().await;
            }
        }
        // What they work on is taken up again when their leases have run out.
        let builds: Vec<_> = self.builds.live().iter().filter_map(|(id, _)| self.builds.child(id)).collect();
        builds.iter().for_each(Child::kill);
        for build in builds {
            build.wait_exit().await;
        }
        if let Some(idle_watch) = self.idle_watch.get() {
            idle_watch.kill();
            idle_watch.wait_exit().await;
        }
        if let Some(sweep) = self.object_sweep.get() {
            sweep.kill();
            sweep.wait_exit().await;
        }
        if let Some(retention) = self.retention.get() {
            retention.kill();
            retention.wait_exit().await;
        }
        if let Some(placement) = self.placement.get() {
            placement.kill();
            placement.wait_exit().await;
        }
        let hosts: Vec<_> = self.hosts.live().iter().filter_map(|(id, _)| self.hosts.child(id)).collect();
        hosts.iter().for_each(Child::kill);
        for host in hosts {
            host.wait_exit().await;
        }
        let sandboxes: Vec<_> =
            self.sandboxes.live().iter().filter_map(|(id, _)| self.sandboxes.child(id)).collect();
        sandboxes.iter().for_each(Child::kill);
        for sandbox in sandboxes {
            sandbox.wait_exit().await;
        }
    }
}
