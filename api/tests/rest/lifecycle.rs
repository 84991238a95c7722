//! Pausing, resuming and pinging capsules over HTTP.

use serde_json::json;
use sqlx::PgPool;

use crate::support::{As, host::Installation};

/// A well-formed id that nothing has.
const NOBODY: &str = "cl-0000000000000000000000001";

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
    crate::support::host::eventually("the use is written", || async {
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
