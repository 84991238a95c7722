//! Two servers on one database, each with simulated hosts of its own: one of them is stopped and started again and again,
//! and nothing happens to what is attached to the other.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]
#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use sqlx::PgPool;
use wrenn_actors::{Config, ControlPlane, OperationError, Until};
use wrenn_agent::sim::{SimHost, SimOptions};
use wrenn_base::Clock;
use wrenn_domain::{
    host::HostStatus,
    ids::HostId,
    lifecycle::SandboxStatus,
    sandbox::{Memory, NewSandbox, Sandbox},
};
use wrenn_proto::ids::SandboxId;
use wrenn_store::{Store, outbox::OutboxCursor};
use wrenn_testkit::{
    host::{self, AgentsSocket},
    rows::{intent, new_sandbox},
    server::ServerThread,
    wait::{PATIENCE, eventually},
};

const HOSTS: usize = 2;
const SANDBOXES: usize = 6;
const ROUNDS: usize = 4;

/// A server, its hosts and sandboxes.
struct Side {
    socket: AgentsSocket,
    thread: ServerThread,
    plane: ControlPlane,
    hosts: Vec<(HostId, SimHost)>,
    sandboxes: Vec<SandboxId>,
}

/// Every period is over several times within a test.
fn quick() -> Config {
    Config {
        unreachable_after: Duration::from_secs(1),
        inventory_interval: Duration::from_millis(200),
        idle_interval: Duration::from_millis(50),
        touch_interval: Duration::from_millis(100),
        // Servers of a busy test must not be taken for dead.
        server_lease: Duration::from_secs(8),
        ..Config::default()
    }
}

impl Side {
    async fn start(pool: &PgPool) -> Self {
        let socket = AgentsSocket::new();
        let (thread, plane, _) = support::start(pool, &socket.addr(), quick(), Clock::process()).await;
        let mut side = Self { socket, thread, plane, hosts: Vec::new(), sandboxes: Vec::new() };
        for _ in 0..HOSTS {
            let store = side.plane.store();
            side.hosts.push(host::start(store, &side.socket.addr(), SimOptions::default()).await);
        }
        side
    }

    /// Ends the server, and starts another one, to which its hosts attach.
    async fn restart(self, pool: &PgPool) -> Self {
        let Self { socket, thread, hosts, sandboxes, .. } = self;
        thread.stop().await;
        let (thread, plane, _) = support::start(pool, &socket.addr(), quick(), Clock::process()).await;
        join_all(hosts.iter().map(|(_, host)| host::attached(host))).await;
        Self { socket, thread, plane, hosts, sandboxes }
    }

    async fn create(&mut self, timeout_sec: u32) -> SandboxId {
        let row =
            self.plane.sandbox_create(NewSandbox { timeout_sec, ..new_sandbox() }, intent()).await.unwrap();
        let row = self.plane.sandbox_wait(row.id, Until::Settled, PATIENCE).await.unwrap();
        assert_eq!((row.lifecycle.status, row.lifecycle.last_error), (SandboxStatus::Running, None));
        assert!(self.hosts.iter().any(|(host, _)| *host == row.host_id), "each places on its own hosts");
        self.sandboxes.push(row.id);
        row.id
    }

    /// Takes a sandbox through its life.
    async fn live(&mut self) {
        let id = self.create(0).await;
        let paused = self.plane.sandbox_pause(id, intent(), PATIENCE).await.unwrap();
        assert_eq!(paused.lifecycle.status, SandboxStatus::Paused);
        let resumed = self.plane.sandbox_resume(id, Memory::Keep, intent(), PATIENCE).await.unwrap();
        assert_eq!(resumed.lifecycle.status, SandboxStatus::Running);
        self.plane.sandbox_destroy(id, intent(), PATIENCE).await.unwrap();
        self.sandboxes.retain(|known| *known != id);
    }

    async fn rows(&self) -> Vec<Sandbox> {
        let loads = self.sandboxes.iter().map(|id| self.plane.store().sandbox_load(*id));
        join_all(loads).await.into_iter().map(|row| row.unwrap().unwrap()).collect()
    }

    /// Machines that run on its hosts.
    fn machines(&self) -> BTreeSet<SandboxId> {
        self.hosts.iter().flat_map(|(_, host)| host.world().running()).collect()
    }

    async fn stop(self) {
        drop(self.hosts);
        self.thread.stop().await;
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_happens_to_one_server_does_nothing_to_the_other(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (mut steady, mut other) = (Side::start(&pool).await, Side::start(&pool).await);
    for _ in 0..SANDBOXES {
        steady.create(0).await;
        other.create(0).await;
    }
    // Idle after a second, but somebody has a session, which only this server knows of.
    let in_use = steady.create(1).await;
    let session = steady.plane.sandbox_in_use(in_use);
    let before = steady.rows().await;

    for _ in 0..ROUNDS {
        let asked = other.plane.sandbox_pause(in_use, intent(), PATIENCE).await;
        assert!(matches!(asked, Err(OperationError::Elsewhere { .. })), "{asked:?}");
        other = other.restart(&pool).await;
        steady.live().await;
        other.live().await;
        for id in other.sandboxes.clone() {
            let row = other.plane.sandbox_wait(id, Until::Settled, PATIENCE).await.unwrap();
            assert_eq!((row.lifecycle.status, row.lifecycle.generation.0), (SandboxStatus::Running, 1));
        }
        for (host, _) in &steady.hosts {
            assert_eq!(store.host_fetch(*host).await.unwrap().unwrap().status, HostStatus::Online);
        }
    }

    for (before, after) in before.iter().zip(steady.rows().await) {
        assert_eq!(before.lifecycle, after.lifecycle, "nothing was begun, nothing was noted");
    }
    assert_eq!(steady.machines(), steady.sandboxes.iter().copied().collect());
    assert_eq!(other.machines(), other.sandboxes.iter().copied().collect());
    // Not even for a moment.
    let known: BTreeSet<String> = before.iter().map(|row| row.id.to_string()).collect();
    let events = store.outbox_read(OutboxCursor::default(), 10_000).await.unwrap();
    let of_known = events.iter().filter(|event| {
        event.event == "capsule.changed" && event.resource_id.as_ref().is_some_and(|id| known.contains(id))
    });
    let changes: Vec<_> = of_known.map(|event| event.payload["status"].as_str()).collect();
    assert_eq!(changes.len(), 2 * known.len(), "each was created, and ran: {changes:?}");
    assert!(changes.iter().all(|status| matches!(status, Some("starting" | "running"))), "{changes:?}");

    // A sandbox that is not used any more is paused by the server that knows.
    drop(session);
    eventually("the sandbox is paused when its session has ended", async || {
        store.sandbox_load(in_use).await.unwrap().unwrap().lifecycle.status == SandboxStatus::Paused
    })
    .await;
    steady.stop().await;
    other.stop().await;
}
