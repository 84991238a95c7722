//! Templates that reach other hosts, with agents that send and fetch what a test tells them.

use futures_util::{StreamExt as _, stream};
use sqlx::PgPool as Pool;
use wrenn_actors::{CreateError, TemplateOrder, transfer::FetchError};
use wrenn_domain::template::{OnConflict, Template, TemplateSource};
use wrenn_proto::{
    agent::{
        SendTemplate, TemplateExtent, TemplateFile, TemplateFileKind, TemplateHead, TemplateNotSent,
        TemplatePart, agent_frame, server_frame, template_part::Part,
    },
    ids::{HostId, SandboxId, TeamId, TemplateId},
    transfer::Follow,
};
use wrenn_testkit::{
    rows::{intent, new_sandbox_of},
    wait::{PATIENCE, eventually, found, in_time},
};

use crate::support::{FakeAgent, Server, config, hello};

/// A template as an agent sends it.
fn parts() -> Vec<TemplatePart> {
    let file = TemplateFile { kind: TemplateFileKind::Disk.into(), size_bytes: 1 << 20, data_bytes: 200_000 };
    let head = TemplateHead { manifest: "{}".into(), files: vec![file] };
    let extent = |offset| TemplateExtent {
        file: TemplateFileKind::Disk.into(),
        offset,
        data: vec![7; 100_000].into(),
    };
    let parts = [Part::Head(head), Part::Extent(extent(0)), Part::Extent(extent(500_000))];
    let mut parts: Vec<_> = parts.into_iter().map(|part| TemplatePart { part: Some(part) }).collect();
    let mut follow = Follow::default();
    parts.iter().for_each(|part| assert!(follow.take(part).is_ok()));
    parts.push(follow.seal().unwrap());
    parts
}

/// Makes a template on the agent's host.
async fn made(server: &Server, agent: &mut FakeAgent, name: &str) -> Template {
    let id = server.running(agent).await;
    made_of(server, agent, id, name, OnConflict::Refuse).await
}

async fn made_of(
    server: &Server,
    agent: &mut FakeAgent,
    id: SandboxId,
    name: &str,
    on_conflict: OnConflict,
) -> Template {
    let order =
        TemplateOrder::of_client(TemplateId::new(), name.to_owned(), TemplateSource::Flattened, on_conflict);
    let plane = server.control_plane.clone();
    let making = tokio::spawn(async move { plane.template_make(id, order, intent(), PATIENCE).await });
    let command = agent.command().await;
    agent.template_made(&command).await;
    making.await.unwrap().unwrap()
}

fn fetch(
    server: &Server,
    host: HostId,
    template: TemplateId,
) -> tokio::task::JoinHandle<Result<Vec<TemplatePart>, FetchError>> {
    let plane = server.control_plane.clone();
    tokio::spawn(async move {
        let parts = plane.template_fetch(host, template).await?;
        parts.collect::<Vec<_>>().await.into_iter().collect()
    })
}

async fn order(agent: &mut FakeAgent) -> SendTemplate {
    loop {
        match agent.frame().await {
            Some(server_frame::Frame::SendTemplate(order)) => return order,
            Some(server_frame::Frame::InventoryRequest(_) | server_frame::Frame::Command(_)) => {}
            other => panic!("expected an order to send a template, got {other:?}"),
        }
    }
}

async fn send(
    server: &Server,
    host: HostId,
    order: &SendTemplate,
    parts: Vec<TemplatePart>,
) -> Result<(), String> {
    let transfer = order.transfer_id.parse().unwrap();
    let acceptor = server.control_plane.template_accept(host, transfer).expect("it is waited for");
    acceptor.run(stream::iter(parts.into_iter().map(Ok::<_, ()>))).await
}

/// Answers questions for inventories with these templates, until `is_told` is true.
async fn with_inventories<F: Future<Output = bool>>(
    agent: &mut FakeAgent,
    templates: &[TemplateId],
    mut is_told: impl FnMut() -> F,
) {
    let answer = async {
        while !is_told().await {
            if let Ok(Some(server_frame::Frame::InventoryRequest(request))) =
                tokio::time::timeout(std::time::Duration::from_millis(20), agent.frame()).await
            {
                let inventory = wrenn_proto::agent::Inventory {
                    request_id: request.request_id,
                    template_ids: templates.iter().map(ToString::to_string).collect(),
                    ..Default::default()
                };
                agent.say(agent_frame::Frame::Inventory(inventory)).await;
            }
        }
    };
    in_time("the inventory counts", answer).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_template_is_sent_once_and_fetched_by_whoever_wants_it(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let template = made(&server, &mut agent, "mine").await.id;
    let fetches: Vec<_> = (0..3).map(|_| fetch(&server, other, template)).collect();
    let order = order(&mut agent).await;
    assert_eq!(order.template_id, template.to_string());
    assert!(server.control_plane.template_accept(other, order.transfer_id.parse().unwrap()).is_none());
    assert_eq!(send(&server, host, &order, parts()).await, Ok(()));
    for fetch in fetches {
        assert_eq!(fetch.await.unwrap().unwrap(), parts());
    }
    // Also when nobody has it who could send it.
    drop(agent);
    assert_eq!(fetch(&server, other, template).await.unwrap().unwrap(), parts());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_not_sent_whole_is_not_stored_and_the_reason_is_told(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let template = made(&server, &mut agent, "mine").await.id;
    let mut damaged = parts();
    damaged.swap(1, 2);
    for wrong in [parts()[..3].to_vec(), damaged, vec![], [parts(), parts()].concat()[1..].to_vec()] {
        let fetch = fetch(&server, other, template);
        let order = order(&mut agent).await;
        let refused = send(&server, host, &order, wrong).await.unwrap_err();
        let failed = fetch.await.unwrap().unwrap_err();
        assert!(
            matches!(&failed, FetchError::Source(why) if refused.contains(why.as_str())),
            "{failed:?} {refused}"
        );
    }
    let refused = fetch(&server, other, template);
    let SendTemplate { transfer_id, .. } = order(&mut agent).await;
    let error = "the disk is broken".to_owned();
    agent.say(agent_frame::Frame::TemplateNotSent(TemplateNotSent { transfer_id, error })).await;
    let failed = refused.await.unwrap().unwrap_err();
    assert!(failed.to_string().contains("the disk is broken"), "{failed}");

    let lost = fetch(&server, other, template);
    order(&mut agent).await;
    drop(agent);
    assert!(matches!(lost.await.unwrap(), Err(FetchError::Source(_))));
    eventually("the host is offline", async || {
        matches!(fetch(&server, other, template).await.unwrap(), Err(FetchError::NoSource))
    })
    .await;
    // And then it is sent after all.
    let mut again = hello(host, vec![]);
    again.inventory.as_mut().unwrap().template_ids = vec![template.to_string()];
    let mut agent = FakeAgent::attach_with(&server, again, host).await;
    let fetched = fetch(&server, other, template);
    let order = order(&mut agent).await;
    send(&server, host, &order, parts()).await.unwrap();
    assert_eq!(fetched.await.unwrap().unwrap(), parts());
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn hosts_that_have_the_template_come_first_and_others_only_if_they_can_get_it(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut small = hello(host, vec![]);
    // Room for two.
    small.capacity.as_mut().unwrap().memory_mb = 1100;
    let mut agent = FakeAgent::attach_with(&server, small, host).await;
    let template = made(&server, &mut agent, "mine").await;
    let mut elsewhere = FakeAgent::attach(&server, other, vec![]).await;
    let create = async || {
        let new = new_sandbox_of(&server.store, &template).await;
        server.control_plane.sandbox_create(new, intent()).await
    };
    assert_eq!(create().await.unwrap().host_id, host, "however empty the other one is");
    assert_eq!(create().await.unwrap().host_id, other, "there is no room any more");
    let started = elsewhere.command().await;
    assert!(started.command.is_some());

    // Its files are where nobody can get them now.
    drop(agent);
    eventually("the host is offline", async || {
        matches!(fetch(&server, other, template.id).await.unwrap(), Err(FetchError::NoSource))
    })
    .await;
    let refused = create().await.unwrap_err();
    assert!(matches!(refused, CreateError::NoHost), "{refused:?}");

    let mut again = hello(host, vec![]);
    again.inventory.as_mut().unwrap().template_ids = vec![template.id.to_string()];
    let mut agent = FakeAgent::attach_with(&server, again, host).await;
    let fetched = fetch(&server, other, template.id);
    let order = order(&mut agent).await;
    send(&server, host, &order, parts()).await.unwrap();
    fetched.await.unwrap().unwrap();
    drop(agent);
    found("they are stored, and so can be had", async || create().await.ok()).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_lists_a_template_has_it_from_then_on_if_it_may(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let team = TeamId::new();
    sqlx::query("INSERT INTO teams (id, name, slug) VALUES ($1, 'others', 'others')")
        .bind(team.0)
        .execute(&pool)
        .await
        .unwrap();
    let host = server.host().await;
    let (other, theirs) = (server.host().await, server.host().await);
    sqlx::query("UPDATE hosts SET type = 'byoc', team_id = $1 WHERE id = $2")
        .bind(team.0)
        .bind(theirs.0)
        .execute(&pool)
        .await
        .unwrap();
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (ours, of_other_team) =
        (made(&server, &mut agent, "ours").await.id, made(&server, &mut agent, "another").await.id);
    let unknown = TemplateId::new();
    // The second one belongs to a team that has no host.
    let third = TeamId::new();
    sqlx::query("INSERT INTO teams (id, name, slug) VALUES ($1, 'third', 'third')")
        .bind(third.0)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE templates SET team_id = $1 WHERE id = $2")
        .bind(third.0)
        .bind(of_other_team.0)
        .execute(&pool)
        .await
        .unwrap();

    let mut fetcher = FakeAgent::attach(&server, other, vec![]).await;
    let fetched = wrenn_proto::agent::TemplateFetched { template_id: ours.to_string() };
    fetcher.say(agent_frame::Frame::TemplateFetched(fetched)).await;
    let hosts = || async { server.store.template_hosts(ours).await.unwrap().contains(&other) };
    with_inventories(&mut fetcher, &[ours], hosts).await;

    let mut greeting = hello(theirs, vec![]);
    greeting.inventory.as_mut().unwrap().template_ids =
        [ours, of_other_team, unknown].iter().map(ToString::to_string).collect();
    let mut their_agent = FakeAgent::attach_with(&server, greeting, theirs).await;
    let mut dropped = Vec::new();
    while dropped.len() < 2 {
        if let Some(server_frame::Frame::DropTemplate(drop)) = their_agent.frame().await {
            dropped.push(drop.template_id);
        }
    }
    dropped.sort();
    let mut expected = [of_other_team, unknown].map(|id| id.to_string());
    expected.sort();
    assert_eq!(dropped, expected);
    assert!(
        server.store.template_hosts(ours).await.unwrap().contains(&theirs),
        "the platform's is everybody's"
    );
    assert!(matches!(fetch(&server, theirs, of_other_team).await.unwrap(), Err(FetchError::NotFound)));
    assert!(matches!(fetch(&server, other, unknown).await.unwrap(), Err(FetchError::NotFound)));
    // What a team's host says it has of the platform's is given to nobody.
    drop((agent, fetcher));
    assert!(!server.store.template_sources(ours).await.unwrap().contains(&theirs));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_object_goes_with_its_template_however_that_goes(pool: Pool) {
    let folder = tempfile::tempdir().unwrap();
    let objects = wrenn_actors::objects::ObjectsLocation::Folder(folder.path().to_owned());
    let config = || wrenn_actors::Config { objects: objects.clone(), ..config() };
    let server = Server::start(&pool, config()).await;
    let (host, other) = (server.host().await, server.host().await);
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let mut templates = Vec::new();
    for (name, on_conflict) in [("deleted", OnConflict::Refuse), ("replaced", OnConflict::Refuse)] {
        let template = made_of(&server, &mut agent, id, name, on_conflict).await;
        let fetched = fetch(&server, other, template.id);
        let order = order(&mut agent).await;
        send(&server, host, &order, parts()).await.unwrap();
        fetched.await.unwrap().unwrap();
        templates.push(template);
    }
    let stored = || {
        let entries = std::fs::read_dir(folder.path().join("templates")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(stored().len(), 2);
    let deleted = templates[0].clone();
    let plane = server.control_plane.clone();
    let deletion = tokio::spawn(async move { plane.template_delete(deleted.id, intent()).await });
    loop {
        if let Some(server_frame::Frame::DropTemplate(drop)) = agent.frame().await {
            let dropped =
                wrenn_proto::agent::TemplateDropped { template_id: drop.template_id, error: String::new() };
            agent.say(agent_frame::Frame::TemplateDropped(dropped)).await;
            break;
        }
    }
    assert!(deletion.await.unwrap().unwrap());
    assert_eq!(stored(), [templates[1].id.to_string()]);
    made_of(&server, &mut agent, id, "replaced", OnConflict::Replace).await;
    drop(agent);
    server.stop().await;

    let server = Server::start(&pool, config()).await;
    eventually("the object of a replaced template is removed", async || stored().is_empty()).await;
    server.stop().await;
}
