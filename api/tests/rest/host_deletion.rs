//! Deletion of hosts: what is in its way, what ends with a host, and what its agent does.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::{
    link::LinkState,
    sim::{SimFault, SimStep},
};
use wrenn_domain::ids::{HostId, SandboxId};
use wrenn_testkit::wait::eventually;

use crate::{
    hosts::{text, token},
    support::{As, TestServer, host::Installation},
};

/// Path of the only host.
async fn the_host(server: &TestServer, root: &As) -> String {
    let hosts = server.get("/v1/hosts", root).await.ok(200);
    assert_eq!(hosts.as_array().unwrap().len(), 1, "{hosts}");
    format!("/v1/hosts/{}", text(&hosts[0], "id"))
}

async fn count(pool: &PgPool, query: &'static str, host: &str) -> i64 {
    let id: HostId = host.rsplit('/').next().unwrap().parse().unwrap();
    sqlx::query_scalar(query).bind(id.0).fetch_one(pool).await.unwrap()
}

/// Checks that no row leads to a host that is not there.
async fn nothing_dangles(pool: &PgPool, host: &str) {
    for query in [
        "SELECT count(*) FROM template_hosts WHERE host_id = $1",
        "SELECT count(*) FROM host_tags WHERE host_id = $1",
        "SELECT count(*) FROM host_tokens WHERE host_id = $1 AND kind <> 'host'",
        "SELECT count(*) FROM sandboxes WHERE host_id = $1 AND destroyed_at IS NULL",
        "SELECT count(*) FROM hosts WHERE id = $1 AND (deleted_at IS NULL OR attached_to IS NOT NULL)",
        "SELECT count(*) FROM templates WHERE $1::uuid IS NOT NULL AND image IS NULL
            AND NOT EXISTS (SELECT FROM template_hosts WHERE template_id = templates.id)",
        "SELECT count(*) FROM audit_logs WHERE $1::uuid IS NOT NULL AND status = 'accepted'",
    ] {
        eventually(query, || async { count(pool, query, host).await == 0 }).await;
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_with_capsules_is_deleted_by_force_only_and_its_agent_destroys_everything(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let root = server.root().await;
    let ada = server.token("ada").await;
    let host = the_host(server, &root).await;
    let running = installation.running(&ada).await;
    let paused = installation.running(&ada).await;
    server.post(&format!("/v1/capsules/{paused}/pause"), &ada, json!({})).await.ok(200);
    let gone = installation.running(&ada).await;
    server.delete(&format!("/v1/capsules/{gone}"), &ada).await.ok(204);
    let snapshot = json!({"sandbox_id": running, "name": "kept"});
    server.post("/v1/snapshots", &ada, snapshot).await.ok(201);

    let mut expected = [running.clone(), paused.clone()].map(|id| id.parse::<SandboxId>().unwrap());
    expected.sort_unstable();
    let expected = json!(expected.map(|id| id.to_string()));
    let preview = server.get(&format!("{host}/delete-preview"), &root).await.ok(200);
    assert_eq!(preview["sandbox_ids"], expected);
    assert_eq!(preview["templates"][0]["name"], "kept");
    let refused = server.delete(&host, &root).await.ok(409);
    assert_eq!(refused["error"]["code"], "host_has_capsules");
    for list in [&refused["error"]["sandbox_ids"], &refused["sandbox_ids"], &refused["capsule_ids"]] {
        assert_eq!(*list, expected, "{refused}");
    }
    assert_eq!(server.get(&format!("/v1/capsules/{running}"), &ada).await.ok(200)["status"], "running");

    server.delete(&format!("{host}?force=true"), &root).await.ok(204);
    for id in [&running, &paused] {
        let path = format!("/v1/capsules/{id}");
        let shown = server.get(&path, &ada).await.ok(200);
        assert_eq!(
            (&shown["status"], &shown["stop_reason"]),
            (&json!("stopped"), &json!("its host was deleted"))
        );
        assert_eq!(
            server.post(&format!("{path}/resume"), &ada, json!({})).await.error(),
            (409, "invalid_state")
        );
        let exec = server.post(&format!("{path}/exec"), &ada, json!({"cmd": "true"})).await;
        assert_eq!(exec.error(), (409, "invalid_state"));
        server.delete(&path, &ada).await.ok(204);
    }
    assert_eq!(server.get("/v1/capsules", &ada).await.ok(200), json!([]));
    assert_eq!(server.get("/v1/hosts", &root).await.ok(200), json!([]));
    assert_eq!(server.delete(&host, &root).await.error(), (404, "not_found"));
    let templates = server.get("/v1/snapshots", &ada).await.ok(200);
    assert!(templates.as_array().unwrap().iter().all(|template| template["name"] != "kept"), "{templates}");
    nothing_dangles(&pool, &host).await;

    eventually("the agent has ended", || async {
        let state = installation.host.link_state().unwrap();
        let state = state.borrow().clone();
        matches!(state, LinkState::Ended { reason } if reason.contains("deleted"))
    })
    .await;
    assert!(installation.host.world().holdings().is_empty(), "its machines are destroyed");
    assert!(installation.host.credentials().unwrap().is_none(), "its credentials are forgotten");
    eventually("no host is known", || async {
        server.get("/health", &As::Nobody).await.body["hosts"]["online"] == 0
    })
    .await;
    let entries: Vec<(String, String)> =
        sqlx::query_as("SELECT action, actor_name FROM audit_logs WHERE actor_type = 'system' AND actor_name = 'host_deleted' ORDER BY action")
            .fetch_all(&pool)
            .await
            .unwrap();
    let actions: Vec<&str> = entries.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["capsule.destroy", "capsule.destroy", "template.delete"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_is_away_is_deleted_and_its_agent_is_told_when_it_is_back(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let root = installation.server.root().await;
    let ada = installation.server.token("ada").await;
    let host = the_host(&installation.server, &root).await;
    let id = installation.running(&ada).await;
    let other = installation.running(&ada).await;
    installation.lose_host().await;
    // A removal that waits for the host ends as it was wanted.
    let removal = installation.server.delete(&format!("/v1/capsules/{other}"), &ada).await;
    assert_eq!(removal.error(), (503, "host_unavailable"));
    let refused = installation.server.delete(&host, &root).await.ok(409);
    assert_eq!(refused["capsule_ids"].as_array().unwrap().len(), 2, "{refused}");
    installation.server.delete(&format!("{host}?force=true"), &root).await.ok(204);
    let shown = installation.server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    assert_eq!(shown["stop_reason"], "its host was deleted");
    let shown = installation.server.get(&format!("/v1/capsules/{other}"), &ada).await.ok(200);
    assert_eq!((&shown["status"], &shown["stop_reason"]), (&json!("stopped"), &Value::Null));
    nothing_dangles(&pool, &host).await;

    assert!(!installation.host.world().holdings().is_empty());
    installation.host.start_agent().await.unwrap();
    assert!(!installation.host.attached().await, "it must not come back");
    assert!(installation.host.world().holdings().is_empty(), "its machines are destroyed");
    assert!(installation.host.credentials().unwrap().is_none());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn operations_in_flight_end_with_their_host(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let root = server.root().await;
    let ada = server.token("ada").await;
    let host = the_host(server, &root).await;
    let id = installation.running(&ada).await;
    installation.host.world().order_fault(SimStep::CopyInto, SimFault::StallBefore, 1);
    let snapshot =
        server.request("POST", "/v1/snapshots", &ada).json(&json!({"sandbox_id": id, "name": "half"}));
    let snapshot = tokio::spawn(snapshot.send());
    eventually("the snapshot is begun", || async {
        server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200)["operation"] == "snapshotting"
    })
    .await;
    server.delete(&format!("{host}?force=true"), &root).await.ok(204);
    // The client that waited for it is answered.
    let answer = snapshot.await.unwrap().unwrap();
    assert!(answer.status().is_client_error() || answer.status().is_server_error(), "{answer:?}");
    let shown = server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("stopped"), &Value::Null));
    nothing_dangles(&pool, &host).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_that_is_created_while_its_host_is_deleted_ends_or_never_is(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let root = server.root().await;
    let ada = server.token("ada").await;
    let host = the_host(server, &root).await;
    let force = format!("{host}?force=true");
    let create = || server.post("/v1/capsules", &ada, json!({}));
    let (one, two, deleted, again, three) = tokio::join!(
        create(),
        create(),
        server.delete(&force, &root),
        server.delete(&force, &root),
        create()
    );
    let mut statuses = [deleted.status, again.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404], "{deleted:?} {again:?}");
    for created in [one, two, three] {
        assert!([201, 503].contains(&created.status), "{created:?}");
    }
    nothing_dangles(&pool, &host).await;
    assert_eq!(server.get("/v1/capsules", &ada).await.ok(200), json!([]));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_hosts_of_a_deleted_team_are_deleted_with_what_they_have(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let root = server.root().await;
    let ada = server.signup("ada").await;
    let team = text(&ada, "team_id");
    server.set_byoc(&root, &team, true).await;
    let host = installation.host_of(team.parse().unwrap()).await;
    let ada = token(&ada);
    let made = server.post("/v1/capsules?wait=true", &ada, json!({})).await.ok(201);
    let path = format!("/v1/hosts/{}", text(&made, "host_id"));
    server.delete(&format!("/v1/teams/{team}"), &ada).await.ok(204);
    eventually("the host is deleted", || async { server.get(&path, &root).await.status == 404 }).await;
    eventually("its machines are destroyed", || async { host.world().holdings().is_empty() }).await;
    nothing_dangles(&pool, &path).await;
}
