//! Two servers on one database: each speaks for its own hosts alone.

use std::time::Duration;

use sqlx::{Pool, Postgres};
use wrenn_actors::{Config, DeleteHostError, DestroyError, Grant, OperationError, SessionOpenError, Until};
use wrenn_domain::{
    audit::AuditChange,
    host::{Attachment, HostCapacity, HostDeletion, HostStatus},
    ids::ServerId,
    lifecycle::{End, SandboxStatus},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::{
    agent::{AgentFrame, MachineState, command, server_frame},
    guest::{ExecInput, exec_input},
    ids::{HostId, SandboxId},
};
use wrenn_store::Store;
use wrenn_testkit::{
    rows::{self, intent, new_sandbox},
    wait::{PATIENCE, eventually},
};

use crate::support::{BY, FakeAgent, Server, config, report};

type Db = Pool<Postgres>;

/// A configuration in which every period is over several times within a test.
fn quick() -> Config {
    Config {
        silent_after: Duration::from_secs(600),
        unreachable_after: Duration::from_millis(300),
        inventory_interval: Duration::from_millis(100),
        idle_interval: Duration::from_millis(20),
        touch_interval: Duration::from_millis(50),
        // Servers of a busy test must not be taken for dead.
        server_lease: Duration::from_secs(8),
        ..config()
    }
}

async fn status(server: &Server, host: HostId) -> HostStatus {
    server.store.host_fetch(host).await.unwrap().unwrap().status
}

/// Waits until a server has found an idle sandbox of its own: it has looked for those of others, too.
async fn looked(server: &Server, agent: &mut FakeAgent) {
    let idle = server.running_new(NewSandbox { timeout_sec: 1, ..new_sandbox() }, agent).await;
    let pause = agent.command().await;
    assert!(matches!(pause.command, Some(command::Command::Pause(_))), "{pause:?}");
    assert_eq!(pause.sandbox_id, idle.to_string());
    agent.paused(&pause).await;
}

/// Stores a sandbox that runs on a host of another server, which needs not live.
async fn running_elsewhere(store: &Store) -> (Attachment, Sandbox) {
    let held = rows::attached_host(store).await;
    // The host can return, so nobody gives it up.
    store.host_registration_token_issue(held.host, &[1; 32]).await.unwrap();
    let row = store.sandbox_insert(&new_sandbox(), held, &intent()).await.unwrap().unwrap();
    let (to, change) = (rows::running(&row.lifecycle), AuditChange::default());
    let row = store.sandbox_transition(row.id, held, &row.lifecycle, &to, None, &change).await.unwrap();
    (held, row.unwrap())
}

/// Asks a server for everything that another one must do.
async fn refuses(server: &Server, id: SandboxId) {
    let plane = &server.control_plane;
    let paused = plane.sandbox_pause(id, intent(), PATIENCE).await;
    assert!(matches!(paused, Err(OperationError::Elsewhere { .. })), "{paused:?}");
    let set = plane.sandbox_set_timeout(id, 7, intent()).await;
    assert!(matches!(set, Err(OperationError::Elsewhere { .. })), "{set:?}");
    let destroyed = plane.sandbox_destroy(id, intent(), PATIENCE).await;
    assert!(matches!(destroyed, Err(DestroyError::Elsewhere { .. })), "{destroyed:?}");
    let opened = plane
        .session_open::<ExecInput>(id, exec_input::Input::Start(Default::default()), Grant::of_system(BY))
        .await;
    assert!(matches!(opened, Err(SessionOpenError::Elsewhere(_))), "{:?}", opened.err());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_second_server_does_no_harm_to_what_is_attached_to_the_first(pool: Db) {
    let first = Server::start(&pool, quick()).await;
    let host = first.host().await;
    let mut agent = FakeAgent::attach(&first, host, vec![]).await;
    let idle_soon = |timeout_sec| NewSandbox { timeout_sec, ..new_sandbox() };
    let in_use = first.running_new(idle_soon(1), &mut agent).await;
    let _session = first.control_plane.sandbox_in_use(in_use);
    let other = first.running(&mut agent).await;

    for round in 0..3 {
        let second = Server::start(&pool, quick()).await;
        let own_host = second.host().await;
        let mut own_agent = FakeAgent::attach(&second, own_host, vec![]).await;
        let own = second.running(&mut own_agent).await;
        assert_eq!(second.row(own).await.host_id, own_host, "each places on its own hosts");
        for id in [in_use, other] {
            refuses(&second, id).await;
        }
        refuses(&first, own).await;
        looked(&second, &mut own_agent).await;
        if round == 1 {
            second.stop().await;
            // The first one has its host now, and finds out that nobody is there.
            first.row_where(own, |row| row.lifecycle.status == SandboxStatus::Missing).await;
        } else {
            drop(own_agent);
            second.stop().await;
        }
        for id in [in_use, other] {
            let row = first.row(id).await;
            assert_eq!((row.lifecycle.status, row.lifecycle.operation), (SandboxStatus::Running, None));
            assert_eq!(row.lifecycle.generation.0, 1, "nothing was ever begun");
        }
        assert_eq!(status(&first, host).await, HostStatus::Online);
    }
    first.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_dials_another_server_is_spoken_for_by_that_one(pool: Db) {
    let few_looks = || Config { server_lease: Duration::from_secs(4), ..config() };
    let first = Server::start(&pool, few_looks()).await;
    let second = Server::start(&pool, few_looks()).await;
    let host = first.host().await;
    let mut old = FakeAgent::attach(&first, host, vec![]).await;
    let id = first.running(&mut old).await;
    refuses(&second, id).await;

    let mut agent = FakeAgent::attach(&second, host, vec![report(id, 1, MachineState::Running)]).await;
    // The first server does not know it yet; what it hears on the old stream changes nothing.
    old.exited_unless_cut(id, 1).await;
    eventually("the first server learns that it has lost the host", async || {
        let asked = first.control_plane.sandbox_pause(id, intent(), PATIENCE).await;
        matches!(asked, Err(OperationError::Elsewhere { .. }))
    })
    .await;
    let row = second.row(id).await;
    assert_eq!((row.lifecycle.status, row.lifecycle.generation.0), (SandboxStatus::Running, 1));
    assert_eq!(status(&first, host).await, HostStatus::Online);

    let plane = second.control_plane.clone();
    let paused = tokio::spawn(async move { plane.sandbox_pause(id, intent(), PATIENCE).await });
    let pause = agent.command().await;
    assert!(matches!(pause.command, Some(command::Command::Pause(_))), "{pause:?}");
    agent.paused(&pause).await;
    assert_eq!(paused.await.unwrap().unwrap().lifecycle.status, SandboxStatus::Paused);

    // And back: the first server reads what the second one wrote.
    let mut agent = FakeAgent::attach(&first, host, vec![report(id, 2, MachineState::Paused)]).await;
    let plane = first.control_plane.clone();
    let destroyed = tokio::spawn(async move { plane.sandbox_destroy(id, intent(), PATIENCE).await });
    let destroy = agent.expect_destroy(id, 3).await;
    agent.destroyed(&destroy).await;
    destroyed.await.unwrap().unwrap();
    eventually("the second server learns that it has lost the host", async || {
        let asked = second.control_plane.sandbox_pause(id, intent(), PATIENCE).await;
        matches!(asked, Err(OperationError::Destroyed(_)))
    })
    .await;
    first.stop().await;
    second.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn hosts_of_a_server_that_was_killed_are_taken_after_its_lease(pool: Db) {
    let store = Store::from_pool(pool.clone());
    let (held, row) = running_elsewhere(&store).await;
    let (host, killed) = (held.host, held.server);
    let server = Server::start(&pool, Config { server_lease: Duration::from_secs(5), ..quick() }).await;
    refuses(&server, row.id).await;
    assert!(store.server_renew(killed).await.unwrap(), "it may still live");
    assert_eq!(status(&server, host).await, HostStatus::Online);
    server.row_where(row.id, |row| row.lifecycle.status == SandboxStatus::Missing).await;
    eventually("the host is unreachable", async || status(&server, host).await == HostStatus::Unreachable)
        .await;
    assert!(!store.server_renew(killed).await.unwrap());
    assert!(!store.host_heartbeat(held).await.unwrap(), "it writes nothing any more");
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_was_taken_for_dead_begins_anew(pool: Db) {
    let server = Server::start(&pool, Config { server_lease: Duration::from_secs(2), ..quick() }).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let held = server.store.host_attachment(host).await.unwrap().unwrap();
    server.store.server_end(held.server).await.unwrap();
    eventually("it has its host again", async || {
        let again = server.store.host_attachment(host).await.unwrap();
        again.is_some_and(|again| again.server == held.server && again.epoch > held.epoch)
    })
    .await;
    let plane = server.control_plane.clone();
    let paused = tokio::spawn(async move { plane.sandbox_pause(id, intent(), PATIENCE).await });
    let pause = agent.command().await;
    agent.paused(&pause).await;
    assert_eq!(paused.await.unwrap().unwrap().lifecycle.status, SandboxStatus::Paused);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_operation_begun_by_an_actor_that_was_elsewhere_a_moment_ago_is_carried_out(pool: Db) {
    let store = Store::from_pool(pool.clone());
    let (held, row) = running_elsewhere(&store).await;
    let server = Server::start(&pool, Config { server_lease: Duration::from_secs(2), ..config() }).await;
    refuses(&server, row.id).await;
    // Its actor still lives when the host is free, and taken.
    store.server_end(held.server).await.unwrap();
    let plane = server.control_plane.clone();
    eventually("the removal is begun", async || {
        let asked = plane.sandbox_destroy(row.id, intent(), Duration::ZERO).await;
        !matches!(asked, Err(DestroyError::Elsewhere { .. }))
    })
    .await;
    let mut agent =
        FakeAgent::attach(&server, held.host, vec![report(row.id, 1, MachineState::Running)]).await;
    let destroy = agent.expect_destroy(row.id, 2).await;
    agent.destroyed(&destroy).await;
    server.row_where(row.id, |row| row.lifecycle.end == End::Reached).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_request_joins_no_operation_of_a_host_that_another_server_has_taken(pool: Db) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let plane = server.control_plane.clone();
    tokio::spawn(async move { plane.sandbox_pause(id, intent(), PATIENCE).await });
    let pause = agent.command().await;
    assert!(matches!(pause.command, Some(command::Command::Pause(_))), "{pause:?}");
    // The operation is that server's to settle, and this one has not heard of it.
    let other = ServerId::new();
    server.store.server_register(other).await.unwrap();
    server.store.host_attached(host, other, HostCapacity::default()).await.unwrap().unwrap();
    let late = intent();
    let late_id = late.id;
    let refused = server.control_plane.sandbox_pause(id, late, PATIENCE).await;
    let written = sqlx::query("SELECT FROM audit_logs WHERE id = $1").bind(late_id.0);
    let written = written.fetch_optional(&pool).await.unwrap();
    assert!(written.is_none(), "nobody would settle the entry");
    // The actor restarts, and how it answers meanwhile depends on how far it is.
    assert!(
        matches!(refused, Err(OperationError::Elsewhere { .. } | OperationError::Unanswered(..))),
        "{refused:?}"
    );
    eventually("the server knows that it has lost the host", async || {
        let asked = server.control_plane.sandbox_pause(id, intent(), PATIENCE).await;
        matches!(asked, Err(OperationError::Elsewhere { .. }))
    })
    .await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_another_server_deletes_ends_where_it_is_attached(pool: Db) {
    let (first, second) = (Server::start(&pool, quick()).await, Server::start(&pool, quick()).await);
    let host = first.host().await;
    let mut agent = FakeAgent::attach(&first, host, vec![]).await;
    let (id, start) = first.starting(&mut agent).await;
    let refused = second.control_plane.host_delete(host, HostDeletion::IfEmpty, intent()).await;
    assert!(matches!(refused, Err(DeleteHostError::HasSandboxes { .. })), "{refused:?}");
    let waiting = first.control_plane.clone();
    let waiting = tokio::spawn(async move { waiting.sandbox_wait(id, Until::Settled, PATIENCE).await });
    let ended = second.control_plane.host_delete(host, HostDeletion::Forced, intent()).await.unwrap();
    assert_eq!(ended.sandboxes.len(), 1);
    // Frames of the host change nothing meanwhile.
    agent.link.receive(AgentFrame { frame: None }).await;
    agent.started_unless_cut(&start).await;
    let row = waiting.await.unwrap().unwrap();
    assert_eq!((row.lifecycle.end, row.lifecycle.status), (End::Reached, SandboxStatus::Stopped));
    let last = loop {
        match agent.frame().await {
            Some(server_frame::Frame::Terminate(terminate)) => break terminate,
            Some(_) => {}
            None => panic!("the agent is told before its stream ends"),
        }
    };
    assert!(last.r#final, "{last:?}");
    eventually("the first server forgets the host", async || {
        first.control_plane.hosts_snapshot().iter().all(|view| view.id != host)
    })
    .await;
    first.stop().await;
    second.stop().await;
}
