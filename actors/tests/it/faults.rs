//! Panics and crashes: each costs one request.

use std::time::Duration;

use wrenn_actors::{Config, FaultInjection, InjectError, Until, Victim};
use wrenn_domain::{
    audit::AuditChange,
    lifecycle::{End, Generation, Lifecycle, Operation, SandboxStatus},
};
use wrenn_proto::{
    agent::{Inventory, MachineState, agent_frame, command, server_frame},
    ids::SandboxId,
};
use wrenn_testkit::{
    rows::{intent, new_sandbox},
    wait::{PATIENCE, in_time},
};

use crate::support::{FakeAgent, Server, config, report};

type Pool = sqlx::PgPool;

async fn destroy(server: &Server, agent: &mut FakeAgent, id: SandboxId) {
    let destroy = server.control_plane.sandbox_destroy(id, intent(), PATIENCE);
    let carry_out = async {
        let command = agent.expect_destroy(id, 2).await;
        agent.destroyed(&command).await;
    };
    let (row, ()) = tokio::join!(destroy, carry_out);
    assert_eq!(row.unwrap().lifecycle.end, End::Reached);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_panic_in_a_sandbox_actor_costs_one_request(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let victim = server.running(&mut agent).await;
    let bystander = server.running(&mut agent).await;
    server.control_plane.inject_panic(Victim::Sandbox(victim)).await.unwrap();

    assert_eq!(server.settled(victim).await.lifecycle.status, SandboxStatus::Running);
    assert_eq!(server.settled(bystander).await.lifecycle.status, SandboxStatus::Running);
    destroy(&server, &mut agent, victim).await;
    destroy(&server, &mut agent, bystander).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_panic_during_a_start_sends_it_again_and_those_who_wait_are_answered(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, start) = server.starting(&mut agent).await;
    let waiting = server.control_plane.clone();
    let waiting = tokio::spawn(async move { waiting.sandbox_wait(id, Until::Settled, PATIENCE).await });
    server.control_plane.inject_panic(Victim::Sandbox(id)).await.unwrap();

    let again = agent.command().await;
    assert_eq!(again, start);
    agent.started(&again).await;
    // The first one is answered, too.
    agent.started(&start).await;
    let row = waiting.await.unwrap().unwrap();
    assert_eq!(row.lifecycle.status, SandboxStatus::Running);
    assert_eq!(row.lifecycle.generation, Generation::FIRST);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_panic_in_a_host_connection_keeps_the_link_and_looks_at_everything_again(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let runs = server.running(&mut agent).await;
    let dies = server.running(&mut agent).await;
    let (starts, start) = server.starting(&mut agent).await;
    server.control_plane.inject_panic(Victim::Host(host)).await.unwrap();

    let Some(server_frame::Frame::InventoryRequest(request)) = agent.frame().await else {
        panic!("an inventory must be asked for");
    };
    // Meanwhile one more is asked for; it is not in the inventory, and that means nothing.
    let (late, late_start) = server.starting(&mut agent).await;
    let machines = vec![
        report(runs, 1, MachineState::Running),
        report(dies, 1, MachineState::Exited),
        report(starts, 1, MachineState::Starting),
    ];
    agent.started(&late_start).await;
    server.settled(late).await;
    let inventory = Inventory { request_id: request.request_id, machines, template_ids: Vec::new() };
    agent.say(agent_frame::Frame::Inventory(inventory)).await;

    // The exit that was lost with the panic is found, and the start is sent again.
    let commands = agent.distinct_commands(2).await;
    assert_eq!(commands[0], start);
    assert_eq!((&commands[1].sandbox_id, commands[1].generation), (&dies.to_string(), 2));
    agent.started(&commands[0]).await;
    agent.destroyed(&commands[1]).await;
    assert_eq!(server.settled(starts).await.lifecycle.status, SandboxStatus::Running);
    assert_eq!(server.settled(dies).await.lifecycle.status, SandboxStatus::Error);
    for id in [runs, late] {
        assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    }
    assert!(server.control_plane.hosts_snapshot()[0].agent.is_some());
    destroy(&server, &mut agent, runs).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_new_server_takes_up_what_the_last_one_left(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    server.store.host_registration_token_issue(host, &[7; 32]).await.unwrap();
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let runs = server.running(&mut agent).await;
    let (starts, start) = server.starting(&mut agent).await;
    let ends = server.running(&mut agent).await;
    server.begin_destroy(ends).await;
    agent.expect_destroy(ends, 2).await;
    server.stop().await;
    drop(agent);

    let server = Server::start(&pool, config()).await;
    // Its reservations are rebuilt: 16 × 512 MB fit, and three are taken.
    let machines = vec![
        report(runs, 1, MachineState::Running),
        report(starts, 1, MachineState::Running),
        report(ends, 2, MachineState::Running),
    ];
    let mut agent = FakeAgent::attach(&server, host, machines).await;
    let commands = agent.distinct_commands(2).await;
    assert_eq!(commands[0], start);
    assert_eq!((&commands[1].sandbox_id, commands[1].generation), (&ends.to_string(), 2));
    agent.started(&commands[0]).await;
    agent.destroyed(&commands[1]).await;
    assert_eq!(server.settled(starts).await.lifecycle.status, SandboxStatus::Running);
    let row = server.control_plane.sandbox_wait(ends, Until::Gone, PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.end, End::Reached);
    assert_eq!(server.settled(runs).await.lifecycle.status, SandboxStatus::Running);
    let creates = (0..20).map(|_| server.control_plane.sandbox_create(new_sandbox(), intent()));
    let made = futures_util::future::join_all(creates).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(made, 14);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn faults_are_injected_only_where_that_is_allowed(pool: Pool) {
    let config = Config { fault_injection: FaultInjection::Off, ..config() };
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let refused = server.control_plane.inject_panic(Victim::Host(host)).await;
    assert!(matches!(refused, Err(InjectError::Off)), "{refused:?}");
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_write_of_a_dead_server_that_is_committed_late_is_noticed_at_the_next_look(pool: Pool) {
    let config = Config { inventory_interval: Duration::from_millis(200), ..config() };
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let known = server.row(id).await.lifecycle;
    let attachment = server.store.host_attachment(host).await.unwrap().unwrap();
    let late = Lifecycle {
        operation: Some(Operation::Pausing),
        generation: known.generation.next(),
        ..known.clone()
    };
    assert!(
        server
            .store
            .sandbox_transition(id, attachment, &known, &late, None, &AuditChange::default())
            .await
            .unwrap()
            .is_some()
    );

    // Nobody but the row knows that it is to be paused.
    agent.inventory(vec![report(id, 1, MachineState::Running)]).await;
    let pause = in_time("the next look takes up what is in the row", agent.command()).await;
    assert_eq!(pause.generation, late.generation.0);
    assert!(matches!(pause.command, Some(command::Command::Pause(_))), "{pause:?}");
    agent.paused(&pause).await;
    let paused = server.row_where(id, |row| row.lifecycle.operation.is_none()).await;
    assert_eq!(paused.lifecycle.status, SandboxStatus::Paused);
    server.stop().await;
}
