//! The life of one sandbox, as its clients and its host see it.

use std::time::Duration;

use wrenn_actors::{CreateError, DestroyError, OperationError, Until, WaitError};
use wrenn_domain::{
    lifecycle::{End, Generation, Operation, SandboxStatus},
    page::PageRequest,
    sandbox::{NewSandbox, Refusal},
};
use wrenn_proto::{
    agent::{MachineState, command},
    ids::SandboxId,
};
use wrenn_testkit::{
    rows::{intent, new_sandbox},
    wait::{PATIENCE, eventually, found},
};

use crate::support::{FakeAgent, Server, config};

type Pool = sqlx::PgPool;

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_sandbox_starts_runs_and_is_gone(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;

    let new = NewSandbox { envs: [("A".to_owned(), "b".to_owned())].into(), ..new_sandbox() };
    let (id, command) = server.starting_new(new, &mut agent).await;
    let row = server.row(id).await;
    assert_eq!(row.lifecycle.status, SandboxStatus::Starting);
    assert_eq!(row.lifecycle.operation, Some(Operation::Starting));
    assert_eq!((row.lifecycle.generation, command.generation), (Generation::FIRST, 1));
    let Some(command::Command::Start(start)) = &command.command else { panic!("{command:?}") };
    assert_eq!((start.image.as_str(), start.vcpus, start.memory_mb), ("minimal.ext4", 1, 512));
    assert_eq!(start.default_env["A"], "b");

    agent.started(&command).await;
    let row = server.settled(id).await;
    assert_eq!(row.lifecycle.status, SandboxStatus::Running);
    assert_eq!(row.lifecycle.guest_ip.as_deref(), Some("172.30.0.2"));
    assert!(row.started_at.is_some());

    let destroy = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 2).await;
        agent.destroyed(&command).await;
    };
    let (row, ()) = tokio::join!(destroy, carry_out);
    let row = row.unwrap();
    assert_eq!((row.lifecycle.status, row.lifecycle.end), (SandboxStatus::Stopped, End::Reached));
    assert!(row.destroyed_at.is_some());
    assert!(server.store.sandbox_list(row.team_id, PageRequest::WHOLE).await.unwrap().items.is_empty());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_failed_start_is_an_error_and_is_cleaned_up(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, command) = server.starting(&mut agent).await;
    agent.failed(&command, MachineState::Exited).await;
    let clean_up = agent.expect_destroy(id, 2).await;
    assert_eq!(server.row(id).await.lifecycle.status, SandboxStatus::Error);
    agent.destroyed(&clean_up).await;
    let row = server.settled(id).await;
    assert_eq!((row.lifecycle.status, row.lifecycle.end), (SandboxStatus::Error, End::NotRequested));
    assert_eq!(row.lifecycle.last_error.as_deref(), Some("no space left"));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_machine_that_exits_is_an_error_with_its_reason_and_is_cleaned_up(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    agent.exited(id, 1).await;
    let clean_up = agent.expect_destroy(id, 2).await;
    agent.destroyed(&clean_up).await;
    let row = server.settled(id).await;
    assert_eq!(row.lifecycle.status, SandboxStatus::Error);
    assert_eq!(row.lifecycle.stop_reason.as_deref(), Some("killed by signal 9"));

    // Its owner can still remove the record.
    let destroy = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 3).await;
        agent.destroyed(&command).await;
    };
    let (row, ()) = tokio::join!(destroy, carry_out);
    assert_eq!(row.unwrap().lifecycle.end, End::Reached);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn duplicate_and_late_outcomes_are_ignored(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut agent).await;
    agent.started(&start).await;
    let running = server.settled(id).await;
    agent.started(&start).await;
    agent.failed(&start, MachineState::Exited).await;
    agent.exited(id, 7).await;

    let begun = server.begin_destroy(id).await;
    assert_eq!(begun.lifecycle.status, running.lifecycle.status);
    assert_eq!(begun.lifecycle.last_error, None);
    let destroy = agent.expect_destroy(id, 2).await;
    agent.exited(id, 1).await;
    agent.destroyed(&start).await;
    agent.failed(&start, MachineState::Exited).await;
    agent.destroyed(&destroy).await;
    let row = server.control_plane.sandbox_wait(id, Until::Gone, PATIENCE).await.unwrap();
    assert_eq!((row.lifecycle.end, row.lifecycle.generation), (End::Reached, Generation(2)));
    agent.destroyed(&destroy).await;
    agent.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn destroying_overtakes_a_start(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut agent).await;

    let refused = server.control_plane.sandbox_pause(id, intent(), PATIENCE).await.unwrap_err();
    let OperationError::Refused(Refusal { operation, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(operation, Some(Operation::Starting));

    let destroy = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 2).await;
        agent.started(&start).await;
        agent.destroyed(&command).await;
    };
    let (row, ()) = tokio::join!(destroy, carry_out);
    let row = row.unwrap();
    assert_eq!((row.lifecycle.status, row.lifecycle.end), (SandboxStatus::Stopped, End::Reached));
    assert!(row.started_at.is_none());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn destroying_twice_at_once_and_later_is_the_same_as_once(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let first = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let second = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 2).await;
        // Both have asked by now, or will find it done.
        agent.destroyed(&command).await;
    };
    let (first, second, ()) = tokio::join!(first, second, carry_out);
    assert_eq!(first.unwrap().lifecycle, second.unwrap().lifecycle);
    let third = server.control_plane.sandbox_destroy(id, intent(), PATIENCE).await.unwrap();
    assert_eq!(third.lifecycle.end, End::Reached);
    agent.assert_silent();

    let unknown = SandboxId::new();
    let error = server.control_plane.sandbox_destroy(unknown, intent(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, DestroyError::NotFound(id) if id == unknown), "{error:?}");
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_that_leaves_changes_nothing(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut agent).await;
    let left = server.control_plane.sandbox_wait(id, Until::Settled, Duration::from_millis(30)).await;
    assert!(matches!(left, Err(WaitError::TimedOut(_))), "{left:?}");
    agent.started(&start).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);

    let gone = tokio::time::timeout(
        Duration::from_millis(100),
        server.control_plane.sandbox_destroy(id, intent(), PATIENCE),
    );
    assert!(gone.await.is_err());
    let destroy = agent.expect_destroy(id, 2).await;
    agent.destroyed(&destroy).await;
    let row = server.control_plane.sandbox_wait(id, Until::Gone, PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.end, End::Reached);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn without_a_host_or_room_nothing_is_made(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let refused = server.control_plane.sandbox_create(new_sandbox(), intent()).await.unwrap_err();
    assert!(matches!(refused, CreateError::NoHost), "{refused:?}");

    let host = server.host().await;
    let agent = FakeAgent::attach(&server, host, vec![]).await;
    let mut large = new_sandbox();
    large.memory_mb = 9000;
    let refused = server.control_plane.sandbox_create(large, intent()).await.unwrap_err();
    assert!(matches!(refused, CreateError::NothingFits(_)), "{refused:?}");
    agent.heartbeat(10).await;
    let refused = server.control_plane.sandbox_create(new_sandbox(), intent()).await.unwrap_err();
    assert!(matches!(refused, CreateError::NothingFits(_)), "{refused:?}");

    drop(agent);
    eventually("the host is offline", async || {
        let created = server.control_plane.sandbox_create(new_sandbox(), intent()).await;
        matches!(created, Err(CreateError::NoHost))
    })
    .await;
    assert!(server.store.sandboxes_of_host(host).await.unwrap().is_empty());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn concurrent_creates_never_overbook_and_what_is_gone_makes_room(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut hello = crate::support::hello(host, vec![]);
    hello.capacity.as_mut().unwrap().memory_mb = 2048;
    let mut agent = FakeAgent::attach_with(&server, hello, host).await;

    let creates = (0..12).map(|_| server.control_plane.sandbox_create(new_sandbox(), intent()));
    let created = futures_util::future::join_all(creates).await;
    let (made, refused): (Vec<_>, Vec<_>) = created.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (4, 8));
    assert!(refused.iter().all(|refused| matches!(refused, Err(CreateError::NothingFits(_)))));

    let mut first = None;
    for _ in 0..4 {
        let command = agent.command().await;
        agent.started(&command).await;
        first.get_or_insert(command);
    }
    let id: SandboxId = first.unwrap().sandbox_id.parse().unwrap();
    server.settled(id).await;
    let destroy = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 2).await;
        agent.destroyed(&command).await;
    };
    tokio::join!(destroy, carry_out).0.unwrap();
    found("there is room again", async || {
        server.control_plane.sandbox_create(new_sandbox(), intent()).await.ok()
    })
    .await;
    assert!(server.control_plane.sandbox_create(new_sandbox(), intent()).await.is_err());
    server.stop().await;
}
