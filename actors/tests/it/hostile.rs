//! A host that lies: the test speaks the agents' protocol, and breaks its rules.

use futures_util::stream;
use tokio::sync::mpsc;
use wrenn_actors::{AttachError, TemplateOrder, transfer::FetchError};
use wrenn_domain::{
    lifecycle::{Operation, SandboxStatus},
    template::{OnConflict, TemplateSource},
};
use wrenn_proto::{
    agent::{
        AgentFrame, CommandResult, Inventory, MachineReport, MachineState, TemplateDropped, TemplateExtent,
        TemplateFile, TemplateFileKind, TemplateHead, TemplateMade, TemplatePart, TunnelRefused, agent_frame,
        command, command_result, server_frame, template_part::Part,
    },
    ids::{HostId, SandboxId, TemplateId},
};
use wrenn_testkit::{
    rows::intent,
    wait::{PATIENCE, eventually},
};

use crate::support::{FakeAgent, Server, config, hello, report};

type Pool = sqlx::PgPool;

/// Machines that nobody has.
fn made_up(count: usize) -> Vec<MachineReport> {
    (0..count).map(|_| report(SandboxId::new(), 7, MachineState::Running)).collect()
}

async fn rows(pool: &Pool) -> (i64, i64) {
    let count = "SELECT (SELECT count(*) FROM sandboxes), (SELECT count(*) FROM audit_logs)";
    sqlx::query_as(count).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_hundred_thousand_made_up_machines_are_refused_and_change_nothing(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let (before, actors) = (rows(&pool).await, server.control_plane.metrics().sandbox_actors);

    let (outgoing, mut frames) = mpsc::channel(4);
    let attach = server.control_plane.agent_attach(host, hello(host, made_up(100_000)), outgoing).await;
    assert!(matches!(attach, Err(AttachError::Inventory(_))), "{attach:?}");
    assert!(frames.recv().await.is_none(), "no frame was sent");
    let mut templates = hello(host, vec![]);
    templates.inventory.as_mut().unwrap().template_ids = vec![TemplateId::new().to_string(); 100_000];
    let (outgoing, _frames) = mpsc::channel(4);
    let attach = server.control_plane.agent_attach(host, templates, outgoing).await;
    assert!(matches!(attach, Err(AttachError::Inventory(_))), "{attach:?}");
    // The agent that was attached before still is.
    agent.heartbeat(5000).await;
    assert_eq!((rows(&pool).await, server.control_plane.metrics().sandbox_actors), (before, actors));
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_answer_that_lists_too_much_ends_the_link_and_changes_nothing(pool: Pool) {
    let mut config = config();
    config.unreachable_after = std::time::Duration::from_millis(600);
    config.inventory_interval = std::time::Duration::from_secs(1);
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let before = rows(&pool).await;
    let Some(server_frame::Frame::InventoryRequest(request)) = agent.frame().await else {
        panic!("an inventory must be asked for");
    };
    let machines = made_up(100_000);
    let inventory = Inventory { request_id: request.request_id, machines, template_ids: Vec::new() };
    let frame = AgentFrame { frame: Some(agent_frame::Frame::Inventory(inventory)) };
    agent.link.receive(frame).await;
    assert!(agent.frame().await.is_none(), "the link is ended");
    drop(agent);
    assert_eq!(rows(&pool).await, before);
    let row = server.row(id).await;
    assert_ne!(row.lifecycle.status, SandboxStatus::Error, "nothing is said to be absent");
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn made_up_machines_cost_no_actor_and_no_row_and_a_bounded_number_of_orders(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    drop(agent);
    let before = rows(&pool).await;
    let mut machines = made_up(10_000);
    machines.push(report(id, 1, MachineState::Running));
    let (outgoing, frames) = mpsc::channel(1024);
    let link = server.control_plane.agent_attach(host, hello(host, machines), outgoing).await.unwrap();
    let mut agent = FakeAgent { host, link, frames };
    assert!(matches!(agent.frame().await, Some(server_frame::Frame::Welcome(_))));
    let mut orders = 0;
    while let Ok(frame) = agent.frames.try_recv() {
        if let Some(server_frame::Frame::Command(order)) = frame.frame {
            assert!(matches!(order.command, Some(command::Command::Destroy(_))), "{order:?}");
            assert_ne!(order.sandbox_id, id.to_string());
            orders += 1;
        }
    }
    assert!((1..=256).contains(&orders), "{orders} orders");
    assert_eq!(rows(&pool).await, before);
    assert!(server.control_plane.metrics().sandbox_actors <= 1);
    assert_eq!(server.settled(id).await.lifecycle.status, SandboxStatus::Running);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn frames_about_what_another_host_has_change_nothing(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    server.begin_destroy(id).await;
    let destroy = agent.expect_destroy(id, 2).await;
    let liar = FakeAgent::attach(&server, server.host().await, vec![]).await;
    liar.destroyed(&destroy).await;
    liar.failed(&destroy, MachineState::Running).await;
    liar.exited(id, 2).await;
    let dropped = TemplateDropped { template_id: TemplateId::new().to_string(), error: String::new() };
    liar.say(agent_frame::Frame::TemplateDropped(dropped)).await;
    liar.say(agent_frame::Frame::TunnelRefused(TunnelRefused { tunnel_id: "..".into(), error: None })).await;
    // Ids that are none, many times over.
    for _ in 0..1000 {
        let result = CommandResult { sandbox_id: "../../cl-x".into(), generation: 1, outcome: None };
        liar.say(agent_frame::Frame::Result(result)).await;
    }
    let row = server.row(id).await;
    assert_eq!(row.lifecycle.operation, Some(Operation::Destroying));
    assert_eq!(row.lifecycle.last_error, None);
    agent.destroyed(&destroy).await;
    eventually("it is gone", async || server.row(id).await.destroyed_at.is_some()).await;
    server.stop().await;
}

/// Makes a template on the agent's host, which says that it is this large.
async fn made(server: &Server, agent: &mut FakeAgent, size_bytes: u64, disk_size_mb: u32) -> TemplateId {
    let id = server.running(agent).await;
    let template = TemplateId::new();
    let order =
        TemplateOrder::of_client(template, "large".into(), TemplateSource::Flattened, OnConflict::Refuse);
    let plane = server.control_plane.clone();
    let making = tokio::spawn(async move { plane.template_make(id, order, intent(), PATIENCE).await });
    let command = agent.command().await;
    let state = MachineState::Running.into();
    let made = TemplateMade { template_id: template.to_string(), size_bytes, disk_size_mb, state };
    let result = CommandResult {
        sandbox_id: command.sandbox_id,
        generation: command.generation,
        outcome: Some(command_result::Outcome::TemplateMade(made)),
    };
    agent.say(agent_frame::Frame::Result(result)).await;
    making.await.unwrap().unwrap();
    template
}

fn head(manifest: String, size_bytes: u64) -> TemplatePart {
    let file = TemplateFile { kind: TemplateFileKind::Disk.into(), size_bytes, data_bytes: size_bytes };
    TemplatePart { part: Some(Part::Head(TemplateHead { manifest: manifest.into(), files: vec![file] })) }
}

/// Sends a template that begins with a head, and goes on without an end; returns why it was refused.
async fn refusal(
    server: &Server,
    agent: &mut FakeAgent,
    fetcher: HostId,
    template: TemplateId,
    head: TemplatePart,
) -> String {
    let plane = server.control_plane.clone();
    let fetch = tokio::spawn(async move { plane.template_fetch(fetcher, template).await.map(drop) });
    let order = loop {
        match agent.frame().await {
            Some(server_frame::Frame::SendTemplate(order)) => break order,
            Some(server_frame::Frame::InventoryRequest(_)) => {}
            other => panic!("expected an order to send a template, got {other:?}"),
        }
    };
    let mut offset = 0;
    let extents = std::iter::repeat_with(move || {
        let data = vec![7; 1 << 18].into();
        let extent = TemplateExtent { file: TemplateFileKind::Disk.into(), offset, data };
        offset += 1 << 18;
        TemplatePart { part: Some(Part::Extent(extent)) }
    });
    let parts = stream::iter([head].into_iter().chain(extents).map(Ok::<_, ()>));
    let acceptor =
        server.control_plane.template_accept(agent.host, order.transfer_id.parse().unwrap()).unwrap();
    let refused = acceptor.run(parts).await.unwrap_err();
    let failed = fetch.await.unwrap().unwrap_err();
    assert!(matches!(&failed, FetchError::Source(_)), "{failed:?}");
    refused
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_upload_is_bounded_by_what_the_template_may_have_and_a_template_by_its_capsule(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let template = made(&server, &mut agent, u64::MAX, u32::MAX).await;
    let record = server.store.template_fetch(template).await.unwrap().unwrap();
    // The capsule has a disk of 5 GiB.
    assert_eq!(record.disk_size_mb, 5120);
    assert!(record.size_bytes <= 6000 << 20, "{} bytes", record.size_bytes);

    let terabyte = 1_u64 << 40;
    let refused = refusal(&server, &mut agent, other, template, head("{}".into(), terabyte)).await;
    assert!(refused.contains("disk has 1099511627776 bytes"), "{refused}");
    for name in ["../../etc/passwd", "/etc/passwd", &TemplateId::new().to_string()] {
        let manifest = format!(r#"{{"template_id": "{name}"}}"#);
        let refused = refusal(&server, &mut agent, other, template, head(manifest, 1 << 20)).await;
        assert!(refused.contains("manifest"), "{refused}");
    }
    // More than the head announces.
    let refused = refusal(&server, &mut agent, other, template, head("{}".into(), 1 << 20)).await;
    assert!(refused.contains("makes no sense"), "{refused}");
    server.stop().await;
}
