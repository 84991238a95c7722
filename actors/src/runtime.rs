//! Starts the actors, and ends them. It does nothing else, and nobody but the [`ControlPlane`] knows it.
//!
//! ```text
//!   start: membership ─▶ placement ─▶ what looks after things ─▶ hosts
//!   end:   builds ─▶ what looks after things ─▶ placement ─▶ hosts ─▶ sandboxes ─▶ membership
//! ```
//!
//! Sandboxes, hosts and builds are started by whoever needs them first; here only those that must live.

use std::{error::Error, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use wrenn_base::{Clock, Rng};
use wrenn_domain::{build::Claim, ids::ServerId};
use wrenn_store::Store;
use wrenn_supervision::{
    ArbiterPool, ChildHandle, FirstLook, Periodic, Registry, Root, Watchdog, WatchdogConfig,
};

use crate::{
    ControlPlane, StartError,
    activity::Activity,
    build::{BuildActor, BuildDesk, BuildQueue, BuildWorker, look_after_builds},
    config::{BuildConfig, Config},
    control_plane::{Children, PlaneParts},
    deleted_teams::clean_up_deleted_teams,
    directory::{Arbiters, Late},
    events::EventFeed,
    grants::Grants,
    host::{Connections as _, HostConnection, HostConnections, HostDirectory, HostParts, board::HostBoard},
    idle::IdleWatch,
    instruments::Instruments,
    membership::Membership,
    metrics_sampler::sample_teams,
    notify::Notifier,
    objects::Objects,
    placement::{Placement, PlacementActor, PlacementParts},
    reconcile::{DueHosts, Reconciler},
    retention::remove_old_rows,
    sandbox::{SandboxDirectory, SandboxParts},
    traces::Traces,
    transfer::{TransferDesk, Uploads, sweep_objects},
    tunnel::TunnelDesk,
};

/// Period of the looks for old rows, and for objects that nobody needs.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(60);
/// Period of the looks for what builds have left.
const BUILDS_EVERY: Duration = Duration::from_secs(2);
/// Period of the looks for what deleted teams have left.
const DELETED_TEAMS_EVERY: Duration = Duration::from_secs(2);
/// Period of the looks for a slot to sample, of which each has several.
const SAMPLES_EVERY: Duration = Duration::from_secs(2);
/// Period of the looks for grants that are to be revoked; notices of Postgres cause further ones.
const GRANTS_EVERY: Duration = Duration::from_secs(2);

/// Pause before deliveries of notifications go on after a failure.
const NOTIFY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Pause before events are read again after a failure.
const EVENTS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Everything that was started.
struct Runtime {
    arbiters: Arbiters,
    sandboxes: SandboxDirectory,
    hosts: HostDirectory,
    connections: HostConnections,
    builds: Registry<Claim, BuildActor>,
    placement: ChildHandle,
    workers: Vec<ChildHandle>,
    membership: Membership,
    notifier: Notifier,
    /// The actors that look after something, in the order in which they end.
    watches: Vec<ChildHandle>,
    _watchdog: Watchdog,
}

impl ControlPlane {
    /// Starts the actors, and takes up whatever the last run left in flight.
    ///
    /// Must be called on a thread of an actix system, whose arbiters the actors' threads become. If placement
    /// fails for good, `root` decides what happens to the process.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(
        store: Store,
        config: Config,
        clock: Clock,
        rng: Rng,
        root: &Root,
    ) -> Result<Self, StartError> {
        let pool = ArbiterPool::named("actors", config.arbiters).map_err(StartError::Arbiters)?;
        let arbiters = Arbiters::new(pool, clock.clone(), rng);
        // The watchdog counts and logs; to end the process would harm those who do not hang.
        let watchdog = Watchdog::start(WatchdogConfig::default(), clock.clone(), |_| {});
        let watchdog = watchdog.map_err(StartError::Watchdog)?;
        let BuildConfig { workers, redis_url, .. } = &config.builds;
        let queue = redis_url.as_deref().map(|url| BuildQueue::new(url, *workers)).transpose();
        let queue = queue.map_err(StartError::Queue)?;
        let objects = Objects::open(&config.objects).map_err(StartError::Objects)?;
        let server = ServerId::new();
        let membership = Membership::new(store.clone(), server, clock.clone(), config.server_lease);
        membership.begin().await.map_err(StartError::Store)?;
        let hosts = match store.host_list().await {
            Ok(hosts) => hosts,
            Err(error) => {
                membership.end().await;
                return Err(StartError::Store(error));
            }
        };
        let plane = Self { parts: Arc::new(parts(store, server, config, clock, queue, objects, &arbiters)) };
        let runtime = Runtime::start(&plane, membership, arbiters, watchdog, root);
        for host in hosts {
            runtime.connections.refresh(host);
        }
        plane.parts.children.bind(Arc::new(runtime));
        Ok(plane)
    }
}

/// Makes the directories and desks, and binds those of hosts.
fn parts(
    store: Store,
    server: ServerId,
    config: Config,
    clock: Clock,
    queue: Option<BuildQueue>,
    objects: Objects,
    arbiters: &Arbiters,
) -> PlaneParts {
    let (instruments, traces) = (Instruments::default(), Traces::default());
    let board = HostBoard::default();
    let hosts = HostDirectory::new(board.clone());
    let placement = Placement::default();
    let activity = Activity::new(clock.clone());
    let due = DueHosts::new(clock.clone(), config.inventory_interval);
    let (tunnels, transfers) = (TunnelDesk::default(), TransferDesk::default());
    let sandboxes = SandboxDirectory::new(
        arbiters.clone(),
        SandboxParts {
            store: store.clone(),
            server,
            clock: clock.clone(),
            hosts: hosts.clone(),
            placement: placement.clone(),
            activity: activity.clone(),
            due: due.clone(),
            instruments: instruments.clone(),
            traces: traces.clone(),
        },
    );
    let reconciler = Reconciler::new(store.clone(), hosts.clone(), sandboxes.clone(), due.clone());
    let connections = HostConnections::new(
        "host",
        arbiters.clone(),
        HostParts {
            store: store.clone(),
            server,
            config: config.clone(),
            clock: clock.clone(),
            board,
            sandboxes: sandboxes.clone(),
            tunnels: tunnels.clone(),
            transfers: transfers.clone(),
            due,
            reconciler: reconciler.clone(),
            placement: placement.clone(),
        },
        HostConnection::new,
    );
    hosts.bind(Arc::new(connections.clone()));
    let notifier = Notifier::new(store.clone(), server, clock.clone(), arbiters.rng(), &config.notify);
    let events = EventFeed::new(store.clone(), clock.clone());
    PlaneParts {
        store,
        server,
        config,
        clock,
        sandboxes,
        hosts,
        connections,
        reconciler,
        placement,
        tunnels,
        transfers,
        uploads: Uploads::default(),
        activity,
        grants: Grants::default(),
        builds: BuildDesk::new(queue),
        objects,
        notifier,
        instruments,
        traces,
        events,
        children: Late::default(),
    }
}

impl Runtime {
    fn start(
        plane: &ControlPlane,
        membership: Membership,
        arbiters: Arbiters,
        watchdog: Watchdog,
        root: &Root,
    ) -> Self {
        let parts = &plane.parts;
        let placement = {
            let parts = PlacementParts {
                store: parts.store.clone(),
                server: parts.server,
                overcommit: parts.config.overcommit,
                hosts: parts.hosts.clone(),
                sandboxes: parts.sandboxes.clone(),
            };
            arbiters.spawn_under(root, "placement", "placement".to_owned(), |_| PlacementActor::new(parts))
        };
        parts.placement.bind(Arc::new(placement.addr()));
        let builds = Registry::new();
        let workers = (0..parts.config.builds.workers).map(|number| {
            let worker = BuildWorker::new(plane.clone(), arbiters.clone(), builds.clone());
            let name = format!("build_worker {number}");
            arbiters.spawn_under(root, "build_worker", name, move |_| worker).handle()
        });
        let workers = workers.collect();
        Self {
            watches: Watches { arbiters: &arbiters, root, clock: &parts.clock }.start(plane, &membership),
            membership,
            notifier: parts.notifier.clone(),
            sandboxes: parts.sandboxes.clone(),
            hosts: parts.hosts.clone(),
            connections: parts.connections.clone(),
            arbiters,
            builds,
            placement: placement.handle(),
            workers,
            _watchdog: watchdog,
        }
    }
}

/// The means to start actors that look after something.
struct Watches<'a> {
    arbiters: &'a Arbiters,
    root: &'a Root,
    clock: &'a Clock,
}

impl Watches<'_> {
    fn start(&self, plane: &ControlPlane, membership: &Membership) -> Vec<ChildHandle> {
        let parts = &plane.parts;
        let config = &parts.config;
        let builds = {
            let plane = plane.clone();
            self.watch("build_keeper", FirstLook::AfterPeriod, BUILDS_EVERY, move || {
                let plane = plane.clone();
                async move { look_after_builds(&plane).await }
            })
        };
        let deleted_teams = {
            let plane = plane.clone();
            self.watch("deleted_teams", FirstLook::AfterPeriod, DELETED_TEAMS_EVERY, move || {
                let plane = plane.clone();
                async move { clean_up_deleted_teams(&plane).await }
            })
        };
        let idle = {
            let watch = IdleWatch {
                store: parts.store.clone(),
                server: parts.server,
                activity: parts.activity.clone(),
                sandboxes: parts.sandboxes.clone(),
                touch_interval: config.touch_interval,
            };
            self.watch("idle_watch", FirstLook::AfterPeriod, config.idle_interval, move || {
                let watch = watch.clone();
                async move { watch.look().await }
            })
        };
        let sweep = {
            let (store, objects, clock) = (parts.store.clone(), parts.objects.clone(), parts.clock.clone());
            self.watch("object_sweep", FirstLook::AtOnce, CLEAN_UP_EVERY, move || {
                let (store, objects, now) = (store.clone(), objects.clone(), clock.wall());
                async move { sweep_objects(&store, &objects, now).await }
            })
        };
        let retention = {
            let (store, kept) = (parts.store.clone(), config.retention);
            self.watch("retention", FirstLook::AfterPeriod, CLEAN_UP_EVERY, move || {
                let store = store.clone();
                async move { remove_old_rows(&store, kept).await }
            })
        };
        let sampler = {
            let store = parts.store.clone();
            self.watch("metrics_sampler", FirstLook::AtOnce, SAMPLES_EVERY, move || {
                let store = store.clone();
                async move { sample_teams(&store).await }
            })
        };
        let reconciler = {
            let reconciler = parts.reconciler.clone();
            self.watch("reconciler", FirstLook::AfterPeriod, config.look_period(), move || {
                let reconciler = reconciler.clone();
                async move { reconciler.look().await }
            })
        };
        let lease = {
            let membership = membership.clone();
            self.watch("lease", FirstLook::AtOnce, membership.renew_period(), move || {
                let membership = membership.clone();
                async move { membership.renew().await }
            })
        };
        let member = {
            let (membership, hosts) = (membership.clone(), parts.hosts.clone());
            self.watch("membership", FirstLook::AfterPeriod, membership.look_period(), move || {
                let (membership, hosts) = (membership.clone(), hosts.clone());
                async move { membership.look(&hosts).await }
            })
        };
        let grants = {
            let (store, grants) = (parts.store.clone(), parts.grants.clone());
            self.watch("grants", FirstLook::AfterPeriod, GRANTS_EVERY, move || {
                let (store, grants) = (store.clone(), grants.clone());
                async move { grants.look(&store).await }
            })
        };
        // A look lasts until its connection breaks.
        let notices = {
            let (store, grants) = (parts.store.clone(), parts.grants.clone());
            self.watch("grant_notices", FirstLook::AtOnce, GRANTS_EVERY, move || {
                let (store, grants) = (store.clone(), grants.clone());
                async move { grants.follow(&store).await }
            })
        };
        // A look lasts until the database fails.
        let notify = {
            let notifier = parts.notifier.clone();
            self.watch("notify", FirstLook::AtOnce, NOTIFY_AGAIN_AFTER, move || {
                let notifier = notifier.clone();
                async move { notifier.follow().await }
            })
        };
        // As above.
        let events = {
            let feed = parts.events.clone();
            self.watch("events", FirstLook::AtOnce, EVENTS_AGAIN_AFTER, move || {
                let feed = feed.clone();
                async move { feed.follow().await }
            })
        };
        vec![
            notify,
            events,
            builds,
            deleted_teams,
            idle,
            sweep,
            sampler,
            retention,
            reconciler,
            grants,
            notices,
            member,
            lease,
        ]
    }

    fn watch<F, E>(
        &self,
        name: &'static str,
        first: FirstLook,
        period: Duration,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) -> ChildHandle
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + 'static,
    {
        let periodic = Periodic::new(name, self.clock.clone(), first, period, look);
        self.arbiters.spawn_under(self.root, name, name.to_owned(), move |_| periodic).handle()
    }
}

impl Children for Runtime {
    fn loads(&self) -> Vec<(String, usize)> {
        self.arbiters.loads()
    }

    /// Ends those first that start others.
    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            end_all(self.workers.clone()).await;
            // Their builds are taken up again when their leases have run out.
            let builds = self.builds.live().into_iter().filter_map(|(claim, _)| self.builds.child(&claim));
            end_all(builds.map(|child| child.handle()).collect()).await;
            for watch in &self.watches {
                end_all(vec![watch.clone()]).await;
            }
            self.notifier.end().await;
            end_all(vec![self.placement.clone()]).await;
            end_all(self.connections.handles()).await;
            end_all(self.sandboxes.handles()).await;
            self.membership.end().await;
            self.hosts.release();
        })
    }
}

async fn end_all(children: Vec<ChildHandle>) {
    children.iter().for_each(ChildHandle::kill);
    for child in children {
        child.wait_exit().await;
    }
}
