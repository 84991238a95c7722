//! A template that was made on one simulated host, and a capsule of it on another one, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{future::Future, thread::JoinHandle, time::Duration};

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use wrenn_actors::{Config, ControlPlane, TemplateOrder, Until};
use wrenn_agent::sim::{SimFault, SimHost, SimIdentity, SimOptions, SimStep};
use wrenn_api::{agents::AgentListener, bootstrap};
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    host::NewHost,
    lifecycle::SandboxStatus,
    principal::SystemReason,
    sandbox::{NewSandbox, Sandbox},
    template::{OnConflict, Template, TemplateSource},
};
use wrenn_proto::ids::{HostId, SandboxId, TeamId, TemplateId};
use wrenn_store::Store;
use wrenn_supervision::Root;

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A control plane and its endpoint, on an actix system in a thread of its own.
struct Server {
    control_plane: ControlPlane,
    addr: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    async fn start(pool: &PgPool) -> Self {
        let listener = AgentListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.to_string();
        let options = (*pool.connect_options()).clone();
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(options);
                let root = Root::new(|exited| panic!("reached the root: {exited:?}"));
                // What a host has is asked for all the time, so that nothing is right only for as long as nobody looks.
                let config = Config {
                    inventory_interval: Duration::from_millis(50),
                    silent_after: Duration::from_millis(600),
                    heartbeat_interval: Duration::from_millis(100),
                    ..Config::default()
                };
                let store = Store::from_pool(pool.clone());
                let control_plane = ControlPlane::start(store, config, &root).await.unwrap();
                ready.send(control_plane.clone()).unwrap_or_else(|_| panic!("the test is gone"));
                listener.serve(control_plane.clone(), async { drop(stopped.await) }).await.unwrap();
                control_plane.shutdown().await;
                pool.close().await;
            });
        });
        Self { control_plane: started.await.unwrap(), addr, stop, thread }
    }

    async fn stop(self) {
        drop((self.stop, self.control_plane));
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }

    async fn host(&self, memory_mb: u64) -> (HostId, SimHost) {
        let store = self.control_plane.store();
        let id = store.host_create(&NewHost::default()).await.unwrap().id;
        let token = bootstrap::issue_registration_token(store, id).await.unwrap();
        let mut options = SimOptions::default();
        options.capacity.memory_mb = memory_mb;
        let identity = SimIdentity::RegistrationToken(token);
        let host = SimHost::start(self.addr.parse().unwrap(), identity, options).await.unwrap();
        assert!(timeout(PATIENCE, host.attached()).await.expect("it attaches in time"));
        (id, host)
    }

    async fn create(&self, template: &Template) -> Sandbox {
        let store = self.control_plane.store();
        let template_hosts = match &template.image {
            Some(_) => None,
            None => Some(store.template_hosts(template.id).await.unwrap()),
        };
        let new = NewSandbox {
            id: SandboxId::new(),
            team_id: TeamId::PLATFORM,
            template_id: template.id,
            template_name: template.name.clone(),
            template_image: template.image.clone(),
            template_hosts,
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
        let id = self.control_plane.sandbox_create(new, intent()).await.unwrap().id;
        self.control_plane.sandbox_wait(id, Until::Settled, PATIENCE).await.unwrap()
    }
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut is_true: impl FnMut() -> F) {
    let wait = async {
        while !is_true().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_runs_on_a_host_that_fetches_its_template(pool: PgPool) {
    let server = Server::start(&pool).await;
    let store = server.control_plane.store().clone();
    let minimal = store.template_find(TeamId::PLATFORM, "minimal").await.unwrap().unwrap();
    // Room for two.
    let (first, mut maker) = server.host(1100).await;
    let source = server.create(&minimal).await;
    let (name, id) = ("mine".to_owned(), TemplateId::new());
    let order = TemplateOrder::of_client(id, name, TemplateSource::Snapshot, OnConflict::Refuse);
    let template = server.control_plane.template_make(source.id, order, intent(), PATIENCE).await.unwrap();

    let (second, other) = server.host(16 * 1024).await;
    let near = server.create(&template).await;
    assert_eq!((near.host_id, near.lifecycle.status), (first, SandboxStatus::Running));
    maker.world().order_fault(SimStep::ReadTemplate, SimFault::Fail, 1);
    let failed = server.create(&template).await;
    assert_eq!((failed.host_id, failed.lifecycle.status), (second, SandboxStatus::Error));
    let why = failed.lifecycle.last_error.unwrap_or_default();
    assert!(why.contains("could not be fetched") && why.contains("could not send it"), "{why}");
    assert_eq!(other.world().templates(), []);

    let far = server.create(&template).await;
    assert_eq!(far.lifecycle.last_error, None);
    assert_eq!((far.host_id, far.lifecycle.status), (second, SandboxStatus::Running));
    assert_eq!(other.world().restores(far.id), 1, "its memory came with it");
    let has_both = || async { store.template_hosts(template.id).await.unwrap().len() == 2 };
    eventually("it is known that both have it", has_both).await;
    assert_eq!(other.world().templates(), [template.id]);

    // A third one gets it, though nobody is there who could send it.
    let mut other = other;
    other.kill_agent().await;
    maker.kill_agent().await;
    let nobody = || async { server.control_plane.hosts_snapshot().iter().all(|host| host.agent.is_none()) };
    eventually("nobody is attached", nobody).await;
    let (third, last) = server.host(16 * 1024).await;
    let stored = server.create(&template).await;
    assert_eq!((stored.host_id, stored.lifecycle.status), (third, SandboxStatus::Running));

    for host in [&mut maker, &mut other] {
        host.start_agent().await.unwrap();
        assert!(timeout(PATIENCE, host.attached()).await.unwrap());
    }
    assert!(server.control_plane.template_delete(template.id, intent()).await.unwrap());
    let hosts = [&maker, &other, &last];
    eventually("no host has it", || async { hosts.iter().all(|host| host.world().templates().is_empty()) })
        .await;
    drop((maker, other, last));
    server.stop().await;
}
