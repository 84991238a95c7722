//! A template that was made on one simulated host, and a capsule of it on another one, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]
#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]

mod support;

use std::time::Duration;

use sqlx::PgPool;
use wrenn_actors::{Config, ControlPlane, TemplateOrder, Until};
use wrenn_agent::sim::{SimFault, SimHost, SimOptions, SimStep};
use wrenn_base::Clock;
use wrenn_domain::{
    lifecycle::SandboxStatus,
    sandbox::Sandbox,
    template::{OnConflict, Template, TemplateSource},
};
use wrenn_proto::ids::{HostId, TeamId, TemplateId};
use wrenn_testkit::{
    host,
    rows::{intent, new_sandbox_of},
    server::ServerThread,
    wait::{PATIENCE, eventually},
};

/// A control plane and its endpoint.
struct Server {
    control_plane: ControlPlane,
    addr: String,
    thread: ServerThread,
}

impl Server {
    async fn start(pool: &PgPool) -> Self {
        // Inventories are asked for all the time, so that nothing is right only for as long as nobody looks.
        let config = Config {
            inventory_interval: Duration::from_millis(50),
            silent_after: Duration::from_millis(600),
            heartbeat_interval: Duration::from_millis(100),
            ..Config::default()
        };
        let (thread, control_plane, addr) =
            support::start(pool, "127.0.0.1:0", config, Clock::process()).await;
        Self { control_plane, addr, thread }
    }

    async fn host(&self, memory_mb: u64) -> (HostId, SimHost) {
        let mut options = SimOptions::default();
        options.capacity.memory_mb = memory_mb;
        host::start(self.control_plane.store(), &self.addr, options).await
    }

    async fn create(&self, template: &Template) -> Sandbox {
        let new = new_sandbox_of(self.control_plane.store(), template).await;
        let id = self.control_plane.sandbox_create(new, intent()).await.unwrap().id;
        self.control_plane.sandbox_wait(id, Until::Settled, PATIENCE).await.unwrap()
    }
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
        host::attached(host).await;
    }
    assert!(server.control_plane.template_delete(template.id, intent()).await.unwrap());
    let hosts = [&maker, &other, &last];
    eventually("no host has it", || async { hosts.iter().all(|host| host.world().templates().is_empty()) })
        .await;
    drop((maker, other, last));
    server.thread.stop().await;
}
