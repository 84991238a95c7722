//! Hosts that come and go.

use std::time::Duration;

use wrenn_actors::{AttachError, DestroyError, Until, Victim};
use wrenn_domain::{
    host::HostStatus,
    lifecycle::{End, Operation, SandboxStatus},
};
use wrenn_proto::{
    agent::{MachineState, server_frame},
    ids::{HostId, SandboxId},
};
use wrenn_testkit::{
    rows::intent,
    wait::{PATIENCE, eventually},
};

use crate::support::{FakeAgent, Server, config, report};

type Pool = sqlx::PgPool;

async fn host_status(server: &Server, host: HostId, wanted: HostStatus) {
    eventually("the host's status is as wanted", async || {
        let row = server.store.host_fetch(host).await.unwrap().unwrap();
        let shown = server.control_plane.hosts_snapshot().into_iter().find(|view| view.id == host);
        row.status == wanted && shown.is_some_and(|view| view.status == wanted)
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_link_lost_during_a_start_marks_nothing_and_the_start_is_sent_again(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut agent).await;
    drop(agent);
    host_status(&server, host, HostStatus::Offline).await;
    let row = server.row(id).await;
    assert_eq!(
        (row.lifecycle.status, row.lifecycle.operation),
        (SandboxStatus::Starting, Some(Operation::Starting))
    );

    let mut agent = FakeAgent::attach(&server, host, vec![report(id, 1, MachineState::Starting)]).await;
    let again = agent.command().await;
    assert_eq!(again, start);
    agent.started(&again).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_removal_from_a_host_that_is_away_is_finished_when_it_is_back(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    server.store.host_registration_token_issue(host, &[7; 32]).await.unwrap();
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    drop(agent);
    host_status(&server, host, HostStatus::Offline).await;
    let error = server.control_plane.sandbox_destroy(id, intent(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, DestroyError::HostAway { .. }), "{error:?}");
    server.has_operation(id, Operation::Destroying).await;

    let mut agent = FakeAgent::attach(&server, host, vec![report(id, 1, MachineState::Running)]).await;
    let destroy = agent.expect_destroy(id, 2).await;
    agent.destroyed(&destroy).await;
    let row = server.control_plane.sandbox_wait(id, Until::Gone, PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.end, End::Reached);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_removal_from_a_host_that_can_never_come_back_is_done(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let other = server.running(&mut agent).await;
    drop(agent);
    host_status(&server, host, HostStatus::Offline).await;
    // The host holds no token at all.
    let row = server.control_plane.sandbox_destroy(id, intent(), PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.end, End::Reached);
    let row = server.row_where(other, |row| row.lifecycle.status == SandboxStatus::Error).await;
    assert_eq!(row.lifecycle.stop_reason.as_deref(), Some("its host is gone for good"));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_silent_agent_is_cut_off(pool: Pool) {
    let mut config = config();
    config.silent_after = Duration::from_millis(200);
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    agent.link.cut().await;
    assert!(agent.frame().await.is_none());
    host_status(&server, host, HostStatus::Offline).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_stays_away_is_unreachable_and_its_sandboxes_missing_until_it_is_back(pool: Pool) {
    let mut config = config();
    config.unreachable_after = Duration::from_millis(300);
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let stays = server.running(&mut agent).await;
    let dies = server.running(&mut agent).await;
    let vanishes = server.running(&mut agent).await;
    drop(agent);
    host_status(&server, host, HostStatus::Unreachable).await;
    for id in [stays, dies, vanishes] {
        server.row_where(id, |row| row.lifecycle.status == SandboxStatus::Missing).await;
    }

    let inventory = vec![report(stays, 1, MachineState::Running), report(dies, 1, MachineState::Exited)];
    let mut agent = FakeAgent::attach(&server, host, inventory).await;
    let clean_up = agent.expect_destroy(dies, 2).await;
    agent.destroyed(&clean_up).await;
    server.row_where(stays, |row| row.lifecycle.status == SandboxStatus::Running).await;
    let dead = server.settled(dies).await;
    assert_eq!(dead.lifecycle.stop_reason.as_deref(), Some("killed"));
    let absent = server.row_where(vanishes, |row| row.lifecycle.status == SandboxStatus::Error).await;
    assert_eq!(absent.lifecycle.stop_reason.as_deref(), Some("its host no longer has its machine"));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn machines_that_nobody_knows_are_removed_and_known_ones_are_not(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let known = server.running(&mut agent).await;
    let gone = server.running(&mut agent).await;
    let destroy = server.control_plane.sandbox_destroy(gone, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(gone, 2).await;
        agent.destroyed(&command).await;
    };
    tokio::join!(destroy, carry_out).0.unwrap();
    drop(agent);

    let stranger = SandboxId::new();
    let inventory = vec![
        report(known, 1, MachineState::Running),
        report(gone, 1, MachineState::Running),
        report(stranger, 7, MachineState::Running),
    ];
    let mut agent = FakeAgent::attach(&server, host, inventory).await;
    agent.expect_destroy(gone, 3).await;
    let destroy = agent.expect_destroy(stranger, 8).await;
    agent.destroyed(&destroy).await;
    let row = server.settled(known).await;
    assert_eq!(row.lifecycle.status, SandboxStatus::Running);
    agent.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_second_agent_of_a_host_replaces_the_first(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut first = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut first).await;
    let mut second = FakeAgent::attach(&server, host, vec![]).await;
    assert!(matches!(first.frame().await, Some(server_frame::Frame::Terminate(t)) if !t.r#final));
    assert!(first.frame().await.is_none());
    drop(first);
    assert_eq!(second.command().await, start);
    second.started(&start).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    host_status(&server, host, HostStatus::Online).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_hello_of_another_host_or_of_none_is_refused(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let (outgoing, _frames) = tokio::sync::mpsc::channel(4);
    let wrong = server
        .control_plane
        .agent_attach(host, crate::support::hello(HostId::new(), vec![]), outgoing.clone())
        .await;
    assert!(matches!(wrong, Err(AttachError::WrongHost)), "{wrong:?}");
    let nobody = HostId::new();
    let unknown =
        server.control_plane.agent_attach(nobody, crate::support::hello(nobody, vec![]), outgoing).await;
    assert!(unknown.is_err(), "{unknown:?}");
    assert!(server.control_plane.hosts_snapshot().iter().all(|view| view.id != nobody));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_cannot_speak_for_machines_of_another_one(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let (starting, start) = server.starting(&mut agent).await;
    let liar = FakeAgent::attach(&server, server.host().await, vec![]).await;
    liar.exited(starting, 1).await;
    liar.started(&start).await;
    // Nor does it make actors for what nobody has.
    let actors = server.control_plane.metrics().sandbox_actors;
    liar.exited(SandboxId::new(), 1).await;
    assert_eq!(server.control_plane.metrics().sandbox_actors, actors);
    assert_eq!(server.row(starting).await.lifecycle.operation, Some(Operation::Starting));

    agent.started(&start).await;
    assert_eq!(server.settled(starting).await.lifecycle.status, SandboxStatus::Running);
    // A text that the database would refuse is made one that it takes.
    agent.exited(starting, 1).await;
    let row = server.has_operation(starting, Operation::Destroying).await;
    assert_eq!(row.lifecycle.stop_reason.as_deref(), Some("killed by signal 9"));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_nobody_noticed_is_found_by_the_next_look(pool: Pool) {
    let mut config = config();
    // It looks at the clock more often.
    config.unreachable_after = Duration::from_millis(600);
    config.inventory_interval = Duration::from_secs(1);
    let server = Server::start(&pool, config).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    agent.inventory(vec![report(id, 1, MachineState::Running)]).await;
    agent.inventory(vec![report(id, 1, MachineState::Exited)]).await;
    agent.expect_destroy(id, 2).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn after_a_failure_of_a_sandboxs_actor_its_host_is_asked_what_it_has(pool: Pool) {
    let mut config = config();
    // It looks at the clock more often.
    config.unreachable_after = Duration::from_millis(600);
    let server = Server::start(&pool, config).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    server.control_plane.inject_panic(Victim::Sandbox(id)).await.unwrap();
    agent.inventory(vec![report(id, 1, MachineState::Exited)]).await;
    agent.expect_destroy(id, 2).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_removal_that_failed_is_begun_anew_by_the_next_look(pool: Pool) {
    let mut config = config();
    // It looks at the clock more often.
    config.unreachable_after = Duration::from_millis(600);
    config.inventory_interval = Duration::from_secs(1);
    let server = Server::start(&pool, config).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    server.begin_destroy(id).await;
    let destroy = agent.expect_destroy(id, 2).await;
    agent.failed(&destroy, MachineState::Unspecified).await;
    let row = server.row_where(id, |row| row.lifecycle.last_error.is_some()).await;
    assert_eq!(row.lifecycle.operation, Some(Operation::Destroying));

    agent.inventory(vec![]).await;
    let again = agent.expect_destroy(id, 3).await;
    agent.destroyed(&again).await;
    let row = server.control_plane.sandbox_wait(id, Until::Gone, PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.end, End::Reached);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_new_server_tells_sandboxes_whose_host_was_lost_before_it_began(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    drop(agent);
    host_status(&server, host, HostStatus::Offline).await;
    // The server is killed before it tells its sandboxes.
    let attachment = server.store.host_attachment(host).await.unwrap().unwrap();
    server.store.host_set_status(attachment, HostStatus::Unreachable).await.unwrap();
    server.stop().await;

    let server = Server::start(&pool, config()).await;
    server.row_where(id, |row| row.lifecycle.status == SandboxStatus::Missing).await;
    let mut agent = FakeAgent::attach(&server, host, vec![report(id, 1, MachineState::Running)]).await;
    server.row_where(id, |row| row.lifecycle.status == SandboxStatus::Running).await;
    agent.assert_silent();
    server.stop().await;
}
