//! Many hosts at once: the server ends and begins, every host is lost and comes back, and nothing else happens to any
//! sandbox. How long that takes at full size is what `wrenn bench scale` measures.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]
#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]

mod support;

use std::time::Duration;

use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use sqlx::PgPool;
use tokio::time::{sleep, timeout};
use wrenn_actors::{Config, ControlPlane, Until};
use wrenn_agent::sim::{SimHost, SimOptions};
use wrenn_base::Clock;
use wrenn_domain::lifecycle::SandboxStatus;
use wrenn_proto::ids::SandboxId;
use wrenn_store::Store;
use wrenn_testkit::{
    host::{self, AgentsSocket},
    rows::{intent, new_sandbox},
    server::ServerThread,
};

const HOSTS: usize = 10;
const SANDBOXES: usize = 500;
/// Requests that are under way at once.
const CLIENTS: usize = 16;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a control plane with its endpoint.
async fn start(pool: &PgPool, addr: &str) -> (ServerThread, ControlPlane) {
    // Inventories all the time, and hosts that are given up soon.
    let config = Config {
        unreachable_after: Duration::from_secs(2),
        inventory_interval: Duration::from_millis(500),
        ..Config::default()
    };
    let (thread, control_plane, _) = support::start(pool, addr, config, Clock::process()).await;
    (thread, control_plane)
}

async fn all_are(store: &Store, wanted: SandboxStatus) {
    let wait = async {
        loop {
            let counts = store.sandbox_counts().await.unwrap();
            let all = i64::try_from(SANDBOXES).unwrap();
            if counts.iter().any(|entry| (entry.status, entry.count) == (wanted, all)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never happened: all sandboxes are {wanted}"));
}

/// Waits until every host is attached, and every sandbox runs in the machine that it was started with.
async fn all_settle(control_plane: &ControlPlane, hosts: &[SimHost], sandboxes: &[SandboxId]) {
    let attached = timeout(PATIENCE, join_all(hosts.iter().map(SimHost::attached))).await;
    assert!(attached.expect("hosts attach in time").into_iter().all(|attached| attached));
    all_are(control_plane.store(), SandboxStatus::Running).await;
    let waits = sandboxes.iter().map(|id| control_plane.sandbox_wait(*id, Until::Settled, PATIENCE));
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
    let socket = AgentsSocket::new();
    let addr = socket.addr();
    let store = Store::from_pool(pool.clone());
    let (mut server, mut control_plane) = start(&pool, &addr).await;
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        let mut options = SimOptions::default();
        options.capacity.cpu_cores = 64;
        options.capacity.memory_mb = 64 * 1024;
        hosts.push(host::start(&store, &addr, options).await.1);
    }

    let requests = (0..SANDBOXES).map(|_| control_plane.sandbox_create(new_sandbox(), intent()));
    let rows: Vec<_> = stream::iter(requests).buffer_unordered(CLIENTS).collect().await;
    let sandboxes: Vec<_> = rows.into_iter().map(|row| row.unwrap().id).collect();
    all_settle(&control_plane, &hosts, &sandboxes).await;

    server.stop().await;
    (server, control_plane) = start(&pool, &addr).await;
    all_settle(&control_plane, &hosts, &sandboxes).await;

    join_all(hosts.iter_mut().map(SimHost::kill_agent)).await;
    all_are(&store, SandboxStatus::Missing).await;
    for started in join_all(hosts.iter_mut().map(SimHost::start_agent)).await {
        started.unwrap();
    }
    all_settle(&control_plane, &hosts, &sandboxes).await;
    drop(hosts);
    server.stop().await;
}
