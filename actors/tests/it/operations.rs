//! Pause, resume and templates, with agents that do what a test tells them.

use std::time::Duration;

use sqlx::PgPool as Pool;
use wrenn_actors::{Config, ControlPlane, CreateError, OperationError, TemplateOrder};
use wrenn_domain::{
    lifecycle::{Operation, SandboxStatus},
    page::PageRequest,
    sandbox::{Memory, NewSandbox, Refusal, Sandbox},
    template::{OnConflict, Template, TemplateKind, TemplateNameError, TemplateSource},
};
use wrenn_proto::{
    agent::{Command, Inventory, MachineState, TemplateDropped, agent_frame, command, server_frame},
    ids::{SandboxId, TeamId, TemplateId},
};
use wrenn_testkit::{
    rows::{intent, new_sandbox, new_sandbox_of},
    wait::{PATIENCE, eventually},
};

use crate::support::{FakeAgent, Server, config, hello, report};

type Answer<T> = Result<T, OperationError>;

pub(crate) fn is_command(command: &Command, id: SandboxId, generation: u64) -> &command::Command {
    assert_eq!((command.sandbox_id.as_str(), command.generation), (id.to_string().as_str(), generation));
    command.command.as_ref().unwrap()
}

fn order(name: &str) -> TemplateOrder {
    let (id, source) = (TemplateId::new(), TemplateSource::Snapshot);
    TemplateOrder::of_client(id, name.to_owned(), source, OnConflict::Refuse)
}

/// Something that goes on without the test.
pub(crate) fn begin<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    server: &Server,
    ask: impl FnOnce(ControlPlane) -> F,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(ask(server.control_plane.clone()))
}

pub(crate) async fn pause(server: &Server, agent: &mut FakeAgent, id: SandboxId) -> Sandbox {
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
        server
            .store
            .template_list(TeamId::PLATFORM, None, PageRequest::WHOLE)
            .await
            .unwrap()
            .items
            .iter()
            .all(|it| it.name != "a")
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
    let new = NewSandbox { envs: [("A".to_owned(), "b".to_owned())].into(), ..new_sandbox() };
    let id = server.running_new(new, &mut agent).await;
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

    let new = new_sandbox_of(&server.store, &template).await;
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

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deleted_template_goes_from_every_attached_host_and_one_that_fails_is_told_again(pool: Pool) {
    let config = Config { inventory_interval: Duration::from_millis(50), ..config() };
    let server = Server::start(&pool, config).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let mut unaware = FakeAgent::attach(&server, other, vec![]).await;
    let template = snapshot(&server, &mut agent, id, order("mine")).await.id;
    assert_eq!(server.store.template_hosts(template).await.unwrap(), [host]);

    let deleted = begin(&server, move |it| async move { it.template_delete(template, intent()).await });
    let dropped = |error: &str| {
        let (template_id, error) = (template.to_string(), error.to_owned());
        agent_frame::Frame::TemplateDropped(TemplateDropped { template_id, error })
    };
    assert_eq!(next_drop(&mut agent).await, template.to_string());
    agent.say(dropped("the disk is busy")).await;
    assert_eq!(next_drop(&mut unaware).await, template.to_string(), "although no row says that it has it");
    unaware.say(dropped("")).await;
    assert!(deleted.await.unwrap().unwrap());

    let told_again = async {
        loop {
            match agent.frame().await {
                Some(server_frame::Frame::DropTemplate(drop)) => return drop.template_id,
                Some(server_frame::Frame::InventoryRequest(request)) => {
                    let machines = vec![report(id, 2, MachineState::Running)];
                    let inventory = Inventory {
                        request_id: request.request_id,
                        machines,
                        template_ids: vec![template.to_string()],
                    };
                    agent.say(agent_frame::Frame::Inventory(inventory)).await;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    };
    assert_eq!(told_again.await, template.to_string());
    server.stop().await;
}

/// Waits until the only host is not attached any more.
async fn offline(server: &Server) {
    eventually("the host is offline", async || server.control_plane.hosts_snapshot()[0].agent.is_none())
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
    let (every, hour) = (Duration::from_millis(20), 3600);
    let config = Config { idle_interval: every, touch_interval: every, ..config() };
    let server = Server::start(&pool, config).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running_new(NewSandbox { timeout_sec: hour, ..new_sandbox() }, &mut agent).await;
    // Postgres' clock decides, so a while passes for the rows alone.
    let day_passes = async || {
        for statement in [
            "UPDATE sandboxes SET last_active_at = last_active_at - interval '1 day'",
            "UPDATE hosts SET attached_at = attached_at - interval '1 day'",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
    };
    let session = server.control_plane.sandbox_in_use(id);
    for _ in 0..3 {
        let before = server.row(id).await.last_active_at;
        day_passes().await;
        server.row_where(id, |row| row.last_active_at >= before).await;
    }
    agent.assert_silent();
    drop(session);
    // The end of the session is the last use, and may be written after the first days.
    let days = async {
        loop {
            day_passes().await;
            tokio::time::sleep(every).await;
        }
    };
    let command = tokio::select! {
        command = agent.command() => command,
        () = days => unreachable!("days do not end"),
    };
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
    eventually("the template is forgotten", async || {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM templates WHERE name = 'mine'")
            .fetch_one(&pool)
            .await
            .unwrap();
        rows == 0
    })
    .await;
    server.stop().await;
}
