//! Many hosts at once: the server ends and begins, every host is lost and comes back, and nothing else happens to any
//! sandbox. How long that takes at full size is what `wrenn bench scale` measures.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{thread::JoinHandle, time::Duration};

use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use wrenn_actors::{Config, ControlPlane, Until};
use wrenn_agent::sim::{SimHost, SimIdentity, SimOptions};
use wrenn_api::{agents::AgentListener, bootstrap};
use wrenn_domain::{
    action::Action, audit::AuditIntent, host::NewHost, lifecycle::SandboxStatus, principal::SystemReason,
    sandbox::NewSandbox,
};
use wrenn_proto::ids::{SandboxId, TeamId};
use wrenn_store::Store;
use wrenn_supervision::Root;

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

const HOSTS: usize = 10;
const SANDBOXES: usize = 500;
/// Requests that are under way at once.
const CLIENTS: usize = 16;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A control plane and its endpoint, on an actix system in a thread of its own.
struct Server {
    control_plane: ControlPlane,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    async fn start(pool: &PgPool, addr: &str) -> Self {
        let listener = AgentListener::bind(addr).unwrap();
        let options = (*pool.connect_options()).clone();
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(options);
                let root = Root::new(|exited| panic!("reached the root: {exited:?}"));
                // Inventories all the time, and hosts that are given up soon.
                let config = Config {
                    unreachable_after: Duration::from_secs(2),
                    inventory_interval: Duration::from_millis(500),
                    ..Config::default()
                };
                let control_plane =
                    ControlPlane::start(Store::from_pool(pool.clone()), config, &root).await.unwrap();
                ready.send(control_plane.clone()).unwrap_or_else(|_| panic!("the test is gone"));
                listener.serve(control_plane.clone(), async { drop(stopped.await) }).await.unwrap();
                control_plane.shutdown().await;
                pool.close().await;
            });
        });
        Self { control_plane: started.await.unwrap(), stop, thread }
    }

    async fn stop(self) {
        drop((self.stop, self.control_plane));
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}

async fn all_are(store: &Store, wanted: SandboxStatus) {
    let wait = async {
        loop {
            let counts = store.sandbox_counts().await.unwrap();
            if counts.contains(&(wanted, i64::try_from(SANDBOXES).unwrap())) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never happened: all sandboxes are {wanted}"));
}

/// Waits until every host is attached, and every sandbox runs in the machine that it was started with.
async fn all_settle(server: &Server, hosts: &[SimHost], sandboxes: &[SandboxId]) {
    let attached = timeout(PATIENCE, join_all(hosts.iter().map(SimHost::attached))).await;
    assert!(attached.expect("hosts attach in time").into_iter().all(|attached| attached));
    all_are(server.control_plane.store(), SandboxStatus::Running).await;
    let waits = sandboxes.iter().map(|id| server.control_plane.sandbox_wait(*id, Until::Settled, PATIENCE));
    let rows: Vec<_> = stream::iter(waits).buffer_unordered(CLIENTS).collect().await;
    for row in rows {
        let row = row.unwrap();
        assert_eq!((row.lifecycle.status, row.lifecycle.last_error), (SandboxStatus::Running, None));
    }
    let machines: usize = hosts.iter().map(|host| host.world().running().len()).sum();
    assert_eq!(machines, SANDBOXES, "one machine for each");
    let boots = |id: &SandboxId| hosts.iter().map(|host| host.world().boots(*id)).sum::<u32>();
    assert!(sandboxes.iter().all(|id| boots(id) == 1), "a machine was started again");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn no_sandbox_is_lost_with_the_server_or_with_all_hosts_at_once(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let addr = format!("unix:{}", folder.path().join("agents.sock").display());
    let store = Store::from_pool(pool.clone());
    let mut server = Server::start(&pool, &addr).await;
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        let record = store.host_create(&NewHost::default()).await.unwrap();
        let token = bootstrap::issue_registration_token(&store, record.id).await.unwrap();
        let mut options = SimOptions::default();
        options.capacity.cpu_cores = 64;
        options.capacity.memory_mb = 64 * 1024;
        let identity = SimIdentity::RegistrationToken(token);
        hosts.push(SimHost::start(addr.parse().unwrap(), identity, options).await.unwrap());
    }
    let attached = timeout(PATIENCE, join_all(hosts.iter().map(SimHost::attached))).await;
    attached.expect("hosts attach in time");

    let template = store.template_find(TeamId::PLATFORM, "minimal").await.unwrap().unwrap();
    let new_sandbox = || NewSandbox {
        id: SandboxId::new(),
        team_id: TeamId::PLATFORM,
        template_id: template.id,
        template_name: template.name.clone(),
        template_image: template.image.clone(),
        template_hosts: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        timeout_sec: 0,
        auto_resume: false,
        default_user: "root".to_owned(),
        envs: [].into(),
        metadata: [].into(),
        preview_access: Default::default(),
        build: None,
    };
    let requests = (0..SANDBOXES).map(|_| server.control_plane.sandbox_create(new_sandbox(), intent()));
    let rows: Vec<_> = stream::iter(requests).buffer_unordered(CLIENTS).collect().await;
    let sandboxes: Vec<_> = rows.into_iter().map(|row| row.unwrap().id).collect();
    all_settle(&server, &hosts, &sandboxes).await;

    server.stop().await;
    server = Server::start(&pool, &addr).await;
    all_settle(&server, &hosts, &sandboxes).await;

    join_all(hosts.iter_mut().map(SimHost::kill_agent)).await;
    all_are(&store, SandboxStatus::Missing).await;
    for started in join_all(hosts.iter_mut().map(SimHost::start_agent)).await {
        started.unwrap();
    }
    all_settle(&server, &hosts, &sandboxes).await;
    drop(hosts);
    server.stop().await;
}
