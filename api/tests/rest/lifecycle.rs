//! Pausing, resuming and pinging capsules over HTTP.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::sim::{SimFault, SimOptions, SimStep};
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, TestServer, host::Installation};

/// A well-formed id that nothing has.
const NOBODY: &str = "cl-0000000000000000000000001";

async fn act(server: &TestServer, who: &As, id: &str, verb: &str) -> Answer {
    server.post_raw(&format!("/v1/capsules/{id}/{verb}"), who, None, String::new()).await
}

async fn show(server: &TestServer, who: &As, id: &str) -> Value {
    server.get(&format!("/v1/capsules/{id}"), who).await.ok(200)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_paused_capsule_goes_on_where_it_was_as_often_as_one_likes(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let token = server.token("ada").await;
    let key = server.key(&token).await;
    let id = installation.running(&key).await;
    installation.prints(&key, &id, "set kept memory; write kept disk").await;
    for who in [&key, &token] {
        let paused = act(server, who, &id, "pause").await.ok(200);
        assert_eq!((&paused["status"], &paused["operation"]), (&json!("paused"), &json!(null)));
        assert!(paused["guest_ip"].is_null(), "{paused}");
        assert_eq!(show(server, who, &id).await, paused);
        assert_eq!(installation.host.world().running(), []);
        assert_eq!(act(server, who, &id, "pause").await.ok(200), paused, "paused already");
        for (path, body) in [("exec", json!({"cmd": "true"})), ("ping", json!({}))] {
            let answer = server.post(&format!("/v1/capsules/{id}/{path}"), who, body).await;
            assert_eq!(answer.error(), (409, "invalid_state"));
            assert!(answer.message().contains("resume"), "{path}: {}", answer.message());
        }

        let resumed = act(server, who, &id, "resume").await.ok(200);
        assert_eq!((&resumed["status"], &resumed["operation"]), (&json!("running"), &json!(null)));
        assert!(resumed["guest_ip"].is_string(), "{resumed}");
        assert_eq!(act(server, who, &id, "resume").await.ok(200)["status"], "running");
        assert_eq!(installation.prints(who, &id, "get kept; read kept").await, "memory\ndisk\n");
    }
    server.delete(&format!("/v1/sandboxes/{id}"), &key).await.ok(204);
    assert_eq!(installation.host.world().holdings(), Vec::<String>::new());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn memory_that_cannot_be_restored_is_kept_until_somebody_gives_it_up(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.prints(&key, &id, "set kept memory; write kept disk").await;
    act(server, &key, &id, "pause").await.ok(200);
    installation.host.world().set_vmm_version("2");

    let refused = act(server, &key, &id, "resume").await;
    assert_eq!(refused.error(), (502, "agent_error"));
    assert!(refused.message().contains("drop_memory"), "{}", refused.message());
    let shown = show(server, &key, &id).await;
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("paused"), &json!(null)));
    assert!(shown["last_error"].is_string(), "{shown}");

    let body = json!({"drop_memory": true});
    let booted = server.post(&format!("/v1/capsules/{id}/resume"), &key, body).await.ok(200);
    assert_eq!((&booted["status"], &booted["last_error"]), (&json!("running"), &json!(null)));
    assert_eq!(installation.prints(&key, &id, "read kept").await, "disk\n");
    assert_ne!(installation.prints(&key, &id, "get kept").await, "memory\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stopped_capsule_is_booted_from_its_disk(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.prints(&key, &id, "write kept disk").await;
    assert!(installation.host.crash_machine(id.parse().unwrap()));
    eventually("it is stopped", || async { show(server, &key, &id).await["status"] == "stopped" }).await;
    assert!(show(server, &key, &id).await["stop_reason"].is_string());

    let exec = server.post(&format!("/v1/capsules/{id}/exec"), &key, json!({"cmd": "true"})).await;
    for (answer, word) in [
        (exec, "resume"),
        (act(server, &key, &id, "ping").await, "resume"),
        (act(server, &key, &id, "pause").await, "resuming"),
        (server.post("/v1/snapshots", &key, json!({"sandbox_id": id})).await, "`base`"),
    ] {
        assert_eq!(answer.error(), (409, "invalid_state"));
        assert!(answer.message().contains(word), "{}", answer.message());
    }
    let resumed = act(server, &key, &id, "resume").await.ok(200);
    assert_eq!((&resumed["status"], &resumed["stop_reason"]), (&json!("running"), &json!(null)));
    assert_eq!(installation.prints(&key, &id, "read kept").await, "disk\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_operation_in_flight_is_named_and_only_destroying_overtakes_it(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    act(server, &key, &id, "pause").await.ok(200);
    installation.host.world().order_fault(SimStep::Init, SimFault::StallBefore, 1);
    let others = async {
        eventually("it is in flight", || async { show(server, &key, &id).await["operation"] == "resuming" })
            .await;
        assert_eq!(show(server, &key, &id).await["status"], "paused");
        let exec = server.post(&format!("/v1/capsules/{id}/exec"), &key, json!({"cmd": "true"})).await;
        let snapshot = server.post("/v1/snapshots", &key, json!({"sandbox_id": id})).await;
        let ping = act(server, &key, &id, "ping").await;
        for answer in [act(server, &key, &id, "pause").await, exec, snapshot, ping] {
            assert_eq!(answer.error(), (409, "invalid_state"));
            assert!(answer.message().contains("`resuming`"), "{}", answer.message());
        }
        server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    };
    let (resumed, ()) = tokio::join!(act(server, &key, &id, "resume"), others);
    assert_eq!(resumed.error(), (409, "invalid_state"));
    assert!(resumed.message().contains("destroyed"), "{}", resumed.message());
    assert_eq!(installation.host.world().holdings(), Vec::<String>::new());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_pause_that_fails_leaves_a_running_capsule_that_says_why(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.host.world().order_fault(SimStep::Suspend, SimFault::Fail, 1);
    let failed = act(server, &key, &id, "pause").await;
    assert_eq!(failed.error(), (502, "agent_error"));
    let shown = show(server, &key, &id).await;
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("running"), &json!(null)));
    let reason = shown["last_error"].as_str().unwrap();
    assert!(failed.message().contains(reason), "{} / {reason}", failed.message());
    installation.prints(&key, &id, "true").await;
    let paused = act(server, &key, &id, "pause").await.ok(200);
    assert_eq!((&paused["status"], &paused["last_error"]), (&json!("paused"), &json!(null)));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_was_begun_before_the_host_went_away_goes_on_when_it_is_back(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.host.world().order_fault(SimStep::Suspend, SimFault::StallBefore, 1);
    let path = format!("/v1/capsules/{id}/pause");
    let request = installation.server.request("POST", &path, &key);
    let waiting = tokio::spawn(request.send());
    let server = &installation.server;
    eventually("it is in flight", || async { show(server, &key, &id).await["operation"] == "pausing" }).await;
    // Else the next agent would stand still, for ever.
    let world = installation.host.world();
    eventually("the host stands still", || async { world.faults_left(SimStep::Suspend) == 0 }).await;
    installation.lose_host().await;
    let lost = waiting.await.unwrap().unwrap();
    assert_eq!(lost.status(), 503);
    let lost: Value = lost.json().await.unwrap();
    assert!(lost["error"]["message"].as_str().unwrap().contains("goes on"), "{lost}");

    installation.host.start_agent().await.unwrap();
    let server = &installation.server;
    eventually("it is paused", || async { show(server, &key, &id).await["status"] == "paused" }).await;
    act(server, &key, &id, "resume").await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_paused_capsule_makes_room_for_others_and_may_have_to_wait_for_it(pool: PgPool) {
    let mut options = SimOptions::default();
    options.capacity.memory_mb = 1024;
    let installation = Installation::start_with(pool, options).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    let large = json!({"memory_mb": 1024, "wait": true});
    assert_eq!(server.post("/v1/capsules", &key, large.clone()).await.error(), (503, "host_unavailable"));
    act(server, &key, &id, "pause").await.ok(200);
    let large = server.post("/v1/capsules", &key, large).await.ok(201);

    let full = act(server, &key, &id, "resume").await;
    assert_eq!(full.error(), (503, "host_unavailable"));
    assert!(full.message().contains("memory"), "{}", full.message());
    assert_eq!(show(server, &key, &id).await["status"], "paused");
    server.delete(&format!("/v1/capsules/{}", large["id"].as_str().unwrap()), &key).await.ok(204);
    assert_eq!(act(server, &key, &id, "resume").await.ok(200)["status"], "running");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_that_nobody_uses_is_paused_after_its_timeout(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let body = json!({"timeout_sec": 1, "wait": true});
    let id = server.post("/v1/capsules", &key, body).await.text("id");
    eventually("it is paused", || async { show(server, &key, &id).await["status"] == "paused" }).await;
    assert_eq!(act(server, &key, &id, "resume").await.ok(200)["status"], "running");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_not_the_teams_is_not_found(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let bob = server.token("bob").await;
    let id = installation.running(&ada).await;
    for verb in ["pause", "resume", "ping"] {
        for who in [bob.clone(), server.key(&bob).await] {
            for id in [id.as_str(), NOBODY] {
                let answer = server.post(&format!("/v1/capsules/{id}/{verb}"), &who, json!({})).await;
                assert_eq!(answer.error(), (404, "not_found"), "{verb}");
            }
        }
        let answer = server.post(&format!("/v1/capsules/nonsense/{verb}"), &ada, json!({})).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{verb}");
    }
    assert_eq!(server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200)["status"], "running");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_ping_counts_as_activity_under_both_names_and_credentials(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let token = server.token("ada").await;
    let key = server.key(&token).await;
    let id = installation.running(&token).await;
    server.post(&format!("/v1/capsules/{id}/ping"), &token, json!({})).await.ok(204);
    server.post_raw(&format!("/api/v1/sandboxes/{id}/ping"), &key, None, String::new()).await.ok(204);
    eventually("the use is written", || async {
        server.get(&format!("/v1/capsules/{id}"), &key).await.body["last_active_at"].is_string()
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_resume_takes_no_body_an_empty_one_and_one_that_says_how(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let path = format!("/v1/capsules/{}/resume", installation.running(&key).await);
    for (content_type, body) in [
        (None, ""),
        (Some("application/json"), ""),
        (Some("application/x-www-form-urlencoded"), ""),
        (Some("application/json"), " \n"),
        (Some("application/json"), "null"),
        (Some("application/json"), "{}"),
        (Some("application/json"), r#"{"drop_memory": false}"#),
        (Some("application/json"), r#"{"drop_memory": true}"#),
    ] {
        let resumed = server.post_raw(&path, &key, content_type, body.into()).await.ok(200);
        assert_eq!(resumed["status"], "running", "a running one stays as it is");
    }
    for (content_type, body, word) in [
        (Some("text/plain"), "{}", "content-type"),
        (Some("application/json"), r#"{"drop_memory": 1}"#, "drop_memory"),
        (Some("application/json"), r#"{"memory": "drop"}"#, "memory"),
        (Some("application/json"), "{", "JSON"),
    ] {
        let answer = server.post_raw(&path, &key, content_type, body.into()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{body}");
        assert!(answer.message().contains(word), "{}", answer.message());
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_destroyed_capsule_can_be_neither_paused_nor_resumed_nor_pinged(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    for verb in ["pause", "resume", "ping"] {
        let answer = server.post(&format!("/v1/capsules/{id}/{verb}"), &key, json!({})).await;
        assert_eq!(answer.error(), (409, "invalid_state"), "{verb}");
        assert!(answer.message().contains("destroyed"), "{verb}: {}", answer.message());
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn nothing_is_begun_while_the_host_is_away(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.lose_host().await;
    let server = &installation.server;
    let answer = server.post(&format!("/v1/capsules/{id}/pause"), &key, json!({})).await;
    assert_eq!(answer.error(), (503, "host_unavailable"));
    assert!(answer.message().contains("nothing was begun"), "{}", answer.message());
    let body = json!({"sandbox_id": id, "name": "later"});
    let answer = server.post("/v1/snapshots", &key, body).await;
    assert_eq!(answer.error(), (503, "host_unavailable"));
    let shown = server.get(&format!("/v1/capsules/{id}"), &key).await.ok(200);
    assert_eq!(shown["operation"], json!(null));
    assert_eq!(server.get("/v1/snapshots?type=snapshot", &key).await.ok(200), json!([]));
    let is_open = server.post(&format!("/v1/capsules/{id}/pause"), &As::Nobody, json!({})).await;
    assert_eq!(is_open.error(), (401, "unauthorized"));
}
