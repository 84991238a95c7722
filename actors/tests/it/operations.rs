//! Pause, resume and templates, with agents that do what a test tells them.

use std::time::Duration;

use sqlx::PgPool as Pool;
use wrenn_actors::{Config, ControlPlane, CreateError, OperationError, SessionOpenError, TemplateOrder};
use wrenn_domain::{
    lifecycle::{Operation, SandboxStatus},
    sandbox::{Memory, NewSandbox, Refusal, Sandbox},
    template::{OnConflict, Template, TemplateKind, TemplateNameError, TemplateSource},
};
use wrenn_proto::{
    agent::{Command, MachineState, TemplateDropped, agent_frame, command, server_frame},
    ids::{SandboxId, TeamId, TemplateId},
};

use crate::support::{
    BY, FakeAgent, PATIENCE, Server, config, eventually, hello, intent, new_sandbox, report,
};

type Answer<T> = Result<T, OperationError>;

fn is_command(command: &Command, id: SandboxId, generation: u64) -> &command::Command {
    assert_eq!((command.sandbox_id.as_str(), command.generation), (id.to_string().as_str(), generation));
    command.command.as_ref().unwrap()
}

fn order(name: &str) -> TemplateOrder {
    let (id, source) = (TemplateId::new(), TemplateSource::Snapshot);
    TemplateOrder::of_client(id, name.to_owned(), source, OnConflict::Refuse)
}

/// Something that goes on without the test.
fn begin<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    server: &Server,
    ask: impl FnOnce(ControlPlane) -> F,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(ask(server.control_plane.clone()))
}

async fn pause(server: &Server, agent: &mut FakeAgent, id: SandboxId) -> Sandbox {
    let paused = begin(server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
    let command = agent.command().await;
    assert!(matches!(command.command, Some(command::Command::Pause(_))), "{command:?}");
    agent.paused(&command).await;
    paused.await.unwrap().unwrap()
}

async fn snapshot(server: &Server, agent: &mut FakeAgent, id: SandboxId, order: TemplateOrder) -> Template {
    let made: tokio::task::JoinHandle<Answer<Template>> =
        begin(server, move |it| async move { it.template_make(id, order, intent(), PATIENCE).await });
    let command = agent.command().await;
    agent.template_made(&command).await;
    made.await.unwrap().unwrap()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_sandbox_is_paused_and_resumed_and_asking_twice_changes_nothing(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;

    let paused = pause(&server, &mut agent, id).await;
    assert_eq!((paused.lifecycle.status, paused.lifecycle.operation), (SandboxStatus::Paused, None));
    assert_eq!(paused.lifecycle.host_ip, None);
    let again = server.control_plane.sandbox_pause(id, intent(), PATIENCE).await.unwrap();
    assert_eq!(again.lifecycle, paused.lifecycle);

    let resumed =
        begin(
            &server,
            move |it| async move { it.sandbox_resume(id, Memory::Keep, intent(), PATIENCE).await },
        );
    let command = agent.command().await;
    let command::Command::Resume(resume) = is_command(&command, id, 3) else { panic!("{command:?}") };
    assert!(!resume.drop_memory);
    agent.started(&command).await;
    let resumed = resumed.await.unwrap().unwrap();
    assert_eq!(resumed.lifecycle.status, SandboxStatus::Running);
    assert!(resumed.lifecycle.host_ip.is_some());
    let again = server.control_plane.sandbox_resume(id, Memory::Keep, intent(), PATIENCE).await.unwrap();
    assert_eq!(again.lifecycle, resumed.lifecycle);
    agent.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_operation_in_flight_refuses_others_by_name_and_is_joined_by_its_like(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    let ask = || begin(&server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
    let first = ask();
    let command = agent.command().await;
    let second = ask();
    for refused in [
        server.control_plane.sandbox_resume(id, Memory::Keep, intent(), PATIENCE).await.unwrap_err(),
        server.control_plane.template_make(id, order("a"), intent(), PATIENCE).await.unwrap_err(),
    ] {
        let OperationError::Refused(Refusal { operation, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(operation, Some(Operation::Pausing));
    }
    agent.paused(&command).await;
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!(first.lifecycle, second.lifecycle);
    agent.assert_silent();
    assert!(
        server.store.template_list(TeamId::PLATFORM, None).await.unwrap().iter().all(|it| it.name != "a")
    );
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_failed_operation_settles_into_what_is_true(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    for (state, status) in [
        (MachineState::Running, SandboxStatus::Running),
        (MachineState::Unspecified, SandboxStatus::Running),
        (MachineState::Stopped, SandboxStatus::Stopped),
    ] {
        let failed = begin(&server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
        let command = agent.command().await;
        agent.failed(&command, state).await;
        let failed = failed.await.unwrap().unwrap_err();
        assert!(matches!(&failed, OperationError::Failed(why) if why == "no space left"), "{failed:?}");
        let row = server.row(id).await;
        assert_eq!((row.lifecycle.status, row.lifecycle.operation), (status, None));
        assert_eq!(row.lifecycle.last_error.as_deref(), Some("no space left"));
    }
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_pause_makes_room_and_a_resume_without_room_is_refused(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut hello = hello(host, vec![]);
    hello.capacity.as_mut().unwrap().memory_mb = 512;
    let mut agent = FakeAgent::attach_with(&server, hello, host).await;
    let first = server.running(&mut agent).await;
    let refused = server.control_plane.sandbox_create(new_sandbox(), intent()).await.unwrap_err();
    assert!(matches!(refused, CreateError::NothingFits(_)), "{refused:?}");
    pause(&server, &mut agent, first).await;
    let second = server.running(&mut agent).await;
    let refused =
        server.control_plane.sandbox_resume(first, Memory::Keep, intent(), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, OperationError::NoRoom(_)), "{refused:?}");
    assert_eq!(server.row(first).await.lifecycle.status, SandboxStatus::Paused);
    pause(&server, &mut agent, second).await;
    begin(&server, move |it| async move { it.sandbox_resume(first, Memory::Keep, intent(), PATIENCE).await });
    let command = agent.command().await;
    assert!(matches!(is_command(&command, first, 3), command::Command::Resume(_)));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn while_its_host_is_away_nothing_is_begun_and_what_was_begun_ends_when_it_is_back(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let paused = begin(&server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
    let command = agent.command().await;
    drop(agent);
    let lost = paused.await.unwrap().unwrap_err();
    assert!(matches!(lost, OperationError::HostLost { .. }), "{lost:?}");
    assert_eq!(server.row(id).await.lifecycle.operation, Some(Operation::Pausing));

    let mut agent = FakeAgent::attach(&server, host, vec![report(id, 2, MachineState::Paused)]).await;
    let again = agent.command().await;
    assert_eq!(again, command);
    agent.paused(&again).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Paused);

    drop(agent);
    offline(&server).await;
    let refused =
        server.control_plane.sandbox_resume(id, Memory::Keep, intent(), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, OperationError::HostAway { .. }), "{refused:?}");
    assert_eq!(server.row(id).await.lifecycle.operation, None);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_template_is_there_when_it_is_made_and_sandboxes_of_it_go_where_it_is(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    // Emptier than the first host.
    let mut elsewhere = FakeAgent::attach(&server, other, vec![]).await;
    let team = TeamId::PLATFORM;

    let template = snapshot(&server, &mut agent, id, order("mine")).await;
    assert_eq!(server.row(id).await.lifecycle.status, SandboxStatus::Running);
    assert_eq!((template.size_bytes, template.disk_size_mb), (1 << 20, 300));
    assert_eq!((template.vcpus, template.memory_mb), (Some(1), Some(512)));
    assert_eq!(template.default_env["A"], "b");
    assert_eq!(server.store.template_find(team, "mine").await.unwrap(), Some(template.clone()));
    let hosts = server.store.template_hosts(template.id).await.unwrap();
    assert_eq!(hosts, [host]);

    let new = NewSandbox {
        template_id: template.id,
        template_name: template.name.clone(),
        template_image: None,
        template_hosts: Some(hosts),
        ..new_sandbox()
    };
    let made = server.control_plane.sandbox_create(new, intent()).await.unwrap();
    assert_eq!(made.host_id, host);
    let start = loop {
        let command = agent.command().await;
        if let Some(command::Command::Start(start)) = command.command {
            break start;
        }
    };
    assert_eq!((start.template_id, start.image.as_str()), (template.id.to_string(), ""));
    elsewhere.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_disk_as_it_is_is_ordered_as_such_also_by_the_next_server(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let mut commands = Vec::new();
    for (source, as_it_is) in [(TemplateSource::Flattened, false), (TemplateSource::AsItIs, true)] {
        let order = TemplateOrder { source, ..order(&format!("disk-{as_it_is}")) };
        let template = order.id;
        begin(&server, move |it| async move { it.template_make(id, order, intent(), PATIENCE).await });
        let command = agent.command().await;
        match &command.command {
            Some(command::Command::Flatten(make)) => {
                assert_eq!(
                    (make.template_id.as_str(), make.as_it_is),
                    (template.to_string().as_str(), as_it_is)
                );
            }
            other => panic!("expected a flattening, got {other:?}"),
        }
        assert_eq!(server.row(id).await.making, Some(source));
        if source == TemplateSource::Flattened {
            agent.template_made(&command).await;
            assert_eq!(server.settled(id).await.making, None);
        }
        commands.push((template, command));
    }
    drop(agent);
    server.stop().await;

    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, host, vec![report(id, 3, MachineState::Running)]).await;
    let (template, command) = commands.pop().unwrap();
    let again = agent.command().await;
    assert_eq!(again, command);
    agent.template_made(&again).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    let made = server.store.template_fetch(template).await.unwrap().unwrap();
    assert_eq!((made.kind, made.vcpus), (TemplateKind::Base, None));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_is_taken_once_and_replaced_only_when_that_is_wanted(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let (id, other) = (server.running(&mut agent).await, server.running(&mut agent).await);
    let first = order("mine");
    let making = {
        let first = first.clone();
        begin(&server, move |it| async move { it.template_make(id, first, intent(), PATIENCE).await })
    };
    let command = agent.command().await;
    let is_taken = async |order: TemplateOrder| {
        let refused = server.control_plane.template_make(other, order, intent(), PATIENCE).await.unwrap_err();
        assert!(matches!(refused, OperationError::Name(TemplateNameError::Taken)), "{refused:?}");
        assert_eq!(server.row(other).await.lifecycle.operation, None);
    };
    is_taken(order("mine")).await;
    agent.template_made(&command).await;
    making.await.unwrap().unwrap();
    is_taken(order("mine")).await;

    let replacing = TemplateOrder { on_conflict: OnConflict::Replace, ..order("mine") };
    let second = snapshot(&server, &mut agent, other, replacing.clone()).await;
    assert_eq!(second.id, replacing.id);
    let found = server.store.template_find(TeamId::PLATFORM, "mine").await.unwrap();
    assert_eq!(found, Some(second));
    assert_eq!(server.store.template_fetch(first.id).await.unwrap(), None);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_failed_snapshot_leaves_a_running_sandbox_and_a_free_name(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    let failed =
        begin(
            &server,
            move |it| async move { it.template_make(id, order("mine"), intent(), PATIENCE).await },
        );
    let command = agent.command().await;
    agent.failed(&command, MachineState::Running).await;
    assert!(matches!(failed.await.unwrap(), Err(OperationError::Failed(_))));
    let row = server.row(id).await;
    assert_eq!((row.lifecycle.status, row.lifecycle.template), (SandboxStatus::Running, None));
    snapshot(&server, &mut agent, id, order("mine")).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deleted_template_goes_from_its_hosts_also_from_one_that_was_away(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let (kept, online, away) = (order("kept"), order("online"), order("away"));
    let kept = snapshot(&server, &mut agent, id, kept).await;
    let online = snapshot(&server, &mut agent, id, online).await;
    let away = snapshot(&server, &mut agent, id, away).await;

    let template = online.clone();
    let deleted = begin(&server, move |it| async move { it.template_delete(template.id, intent()).await });
    let dropped = next_drop(&mut agent).await;
    assert_eq!(dropped, online.id.to_string());
    assert_eq!(server.store.template_find(TeamId::PLATFORM, "online").await.unwrap(), None);
    agent
        .say(agent_frame::Frame::TemplateDropped(TemplateDropped {
            template_id: dropped,
            error: String::new(),
        }))
        .await;
    assert!(deleted.await.unwrap().unwrap());
    assert!(!server.control_plane.template_delete(online.id, intent()).await.unwrap(), "it is gone already");

    drop(agent);
    offline(&server).await;
    assert!(server.control_plane.template_delete(away.id, intent()).await.unwrap());
    let mut hello = hello(host, vec![report(id, 4, MachineState::Running)]);
    hello.inventory.as_mut().unwrap().template_ids = vec![kept.id.to_string(), away.id.to_string()];
    let mut agent = FakeAgent::attach_with(&server, hello, host).await;
    assert_eq!(next_drop(&mut agent).await, away.id.to_string());
    agent.assert_silent();
    assert_eq!(server.store.template_hosts(kept.id).await.unwrap(), [host]);
    server.stop().await;
}

/// Waits until the only host is not attached any more.
async fn offline(server: &Server) {
    eventually("the host is offline", || async {
        server.control_plane.hosts_snapshot()[0].agent.is_none().then_some(())
    })
    .await;
}

async fn next_drop(agent: &mut FakeAgent) -> String {
    loop {
        match agent.frame().await {
            Some(server_frame::Frame::DropTemplate(drop)) => return drop.template_id,
            Some(server_frame::Frame::InventoryRequest(_)) => {}
            other => panic!("expected the removal of a template, got {other:?}"),
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_idle_sandbox_is_paused_and_one_in_use_is_not(pool: Pool) {
    let config = Config { idle_interval: Duration::from_millis(50), ..config() };
    let server = Server::start(&pool, config).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let row = server
        .control_plane
        .sandbox_create(NewSandbox { timeout_sec: 1, ..new_sandbox() }, intent())
        .await
        .unwrap();
    let id = row.id;
    let start = agent.command().await;
    agent.started(&start).await;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        server.control_plane.sandbox_use(id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    agent.assert_silent();
    let command = agent.command().await;
    assert!(matches!(is_command(&command, id, 2), command::Command::Pause(_)));
    agent.paused(&command).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Paused);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_left_of_a_failure_is_destroyed_also_on_a_host_without_room(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut hello = hello(host, vec![]);
    hello.capacity.as_mut().unwrap().memory_mb = 512;
    let mut agent = FakeAgent::attach_with(&server, hello, host).await;
    let (failed, start) = server.starting(&mut agent).await;
    agent.failed(&start, MachineState::Exited).await;
    let clean_up = agent.expect_destroy(failed, 2).await;
    agent.destroyed(&clean_up).await;
    assert_eq!(server.settled(failed).await.lifecycle.status, SandboxStatus::Error);
    server.running(&mut agent).await;

    let gone = begin(&server, move |it| async move { it.sandbox_destroy(failed, intent(), PATIENCE).await });
    let destroy = agent.expect_destroy(failed, 3).await;
    agent.destroyed(&destroy).await;
    assert!(gone.await.unwrap().unwrap().destroyed_at.is_some());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deletion_ends_also_when_nobody_waits_for_it(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    let template = snapshot(&server, &mut agent, id, order("mine")).await;
    let template_id = template.id.to_string();
    let deleted = begin(&server, move |it| async move { it.template_delete(template.id, intent()).await });
    assert_eq!(next_drop(&mut agent).await, template_id);
    deleted.abort();
    assert!(deleted.await.unwrap_err().is_cancelled());
    let error = String::new();
    agent.say(agent_frame::Frame::TemplateDropped(TemplateDropped { template_id, error })).await;
    eventually("the template is forgotten", || async {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM templates WHERE name = 'mine'")
            .fetch_one(&pool)
            .await
            .unwrap();
        (rows == 0).then_some(())
    })
    .await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn whoever_uses_a_paused_sandbox_wakes_it_if_it_may_be_woken_and_only_once(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let new = NewSandbox { auto_resume: true, ..new_sandbox() };
    let id = new.id;
    server.control_plane.sandbox_create(new, intent()).await.unwrap();
    let start = agent.command().await;
    agent.started(&start).await;
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);

    // One that comes while it is being paused waits for that, too.
    let paused = begin(&server, move |it| async move { it.sandbox_pause(id, intent(), PATIENCE).await });
    let pausing = agent.command().await;
    let users: Vec<_> =
        (0..5).map(|_| begin(&server, move |it| async move { it.sandbox_awake(id, BY).await })).collect();
    agent.paused(&pausing).await;
    assert!(paused.await.unwrap().is_ok());
    let command = agent.command().await;
    assert!(matches!(is_command(&command, id, 3), command::Command::Resume(_)), "{command:?}");
    agent.started(&command).await;
    for user in users {
        assert_eq!(user.await.unwrap().unwrap(), agent.host);
    }
    agent.assert_silent();

    // A ping wakes nobody, and a sandbox that may not be woken stays paused.
    pause(&server, &mut agent, id).await;
    assert!(matches!(
        server.control_plane.sandbox_use(id).await,
        Err(SessionOpenError::InvalidState { status: SandboxStatus::Paused, operation: None })
    ));
    let other = server.running(&mut agent).await;
    pause(&server, &mut agent, other).await;
    assert!(matches!(
        server.control_plane.sandbox_awake(other, BY).await,
        Err(SessionOpenError::InvalidState { status: SandboxStatus::Paused, operation: None })
    ));
    agent.assert_silent();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_sandbox_that_cannot_be_woken_says_why(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let new = NewSandbox { auto_resume: true, ..new_sandbox() };
    let id = new.id;
    server.control_plane.sandbox_create(new, intent()).await.unwrap();
    let start = agent.command().await;
    agent.started(&start).await;
    server.settled(id).await;
    pause(&server, &mut agent, id).await;
    let user = begin(&server, move |it| async move { it.sandbox_awake(id, BY).await });
    let command = agent.command().await;
    agent.failed(&command, MachineState::Paused).await;
    let error = user.await.unwrap().unwrap_err();
    let SessionOpenError::Wake(cause) = error else { panic!("{error:?}") };
    assert!(matches!(*cause, OperationError::Failed(ref reason) if reason.contains("no space")), "{cause:?}");
    server.stop().await;
}
