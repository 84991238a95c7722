//! Setting the idle time of a capsule over HTTP.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, TestServer, host::Installation};

/// Well-formed id of no capsule.
const NOBODY: &str = "cl-0000000000000000000000001";
/// Longest idle time that can be set, in seconds.
const LONGEST_SEC: i64 = 31_536_000;

async fn set(server: &TestServer, who: &As, id: &str, timeout_sec: i64) -> Answer {
    server.post(&format!("/v1/capsules/{id}/timeout"), who, json!({"timeout_sec": timeout_sec})).await
}

async fn show(server: &TestServer, who: &As, id: &str) -> Value {
    server.get(&format!("/v1/capsules/{id}"), who).await.ok(200)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_new_timeout_is_shown_under_all_names_and_credentials(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let token = server.token("ada").await;
    let key = server.key(&token).await;
    let id = installation.running(&key).await;
    for (who, capsules, timeout_sec) in [
        (&token, "/v1/capsules", 3600),
        (&key, "/v1/sandboxes", LONGEST_SEC),
        (&key, "/api/v1/capsules", 0),
        (&token, "/api/v1/sandboxes", 60),
    ] {
        let path = format!("{capsules}/{id}/timeout");
        let changed = server.post(&path, who, json!({"timeout_sec": timeout_sec})).await.ok(200);
        assert_eq!((&changed["id"], &changed["timeout_sec"]), (&json!(id), &json!(timeout_sec)));
        assert_eq!(changed["status"], "running", "{changed}");
        assert!(changed["last_active_at"].is_string(), "it counts as activity: {changed}");
        assert_eq!(show(server, who, &id).await["timeout_sec"], timeout_sec);
    }

    // The actor of a paused capsule may have ended; the next resume uses the value as it was set then.
    server.post(&format!("/v1/capsules/{id}/pause"), &key, json!({})).await.ok(200);
    let changed = set(server, &key, &id, 7200).await.ok(200);
    assert_eq!((&changed["status"], &changed["timeout_sec"]), (&json!("paused"), &json!(7200)));
    let resumed = server.post(&format!("/v1/capsules/{id}/resume"), &key, json!({})).await.ok(200);
    assert_eq!(resumed["timeout_sec"], 7200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_timeout_out_of_range_is_refused_and_changes_nothing(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    set(server, &key, &id, 3600).await.ok(200);
    for timeout_sec in [-1, LONGEST_SEC + 1, i64::MAX] {
        let refused = set(server, &key, &id, timeout_sec).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{timeout_sec}");
        assert!(refused.message().starts_with("timeout_sec: "), "{}", refused.message());
        assert!(refused.message().contains(&timeout_sec.to_string()), "{}", refused.message());
    }
    let path = format!("/v1/capsules/{id}/timeout");
    for (body, field) in [
        (json!({}), "timeout_sec"),
        (json!({"timeout_sec": null}), "timeout_sec"),
        (json!({"timeout_sec": "60"}), "timeout_sec"),
        (json!({"timeout_sec": 1.5}), "timeout_sec"),
        (json!({"timeout_sec": 60, "timeout": 60}), "timeout"),
    ] {
        let refused = server.post(&path, &key, body.clone()).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{body}");
        assert!(refused.message().contains(field), "{body}: {}", refused.message());
    }
    assert_eq!(show(server, &key, &id).await["timeout_sec"], 3600);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn only_the_team_of_a_capsule_that_exists_sets_its_timeout(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let bob = server.token("bob").await;
    let id = installation.running(&ada).await;
    for who in [&bob, &server.key(&bob).await] {
        for id in [id.as_str(), NOBODY] {
            assert_eq!(set(server, who, id, 1).await.error(), (404, "not_found"), "{id}");
        }
    }
    assert_eq!(set(server, &As::Nobody, &id, 1).await.error(), (401, "unauthorized"));
    assert_eq!(set(server, &ada, "nonsense", 1).await.error(), (400, "invalid_request"));
    assert_eq!(show(server, &ada, &id).await["timeout_sec"], 0);

    server.delete(&format!("/v1/capsules/{id}"), &ada).await.ok(204);
    let destroyed = set(server, &ada, &id, 1).await;
    assert_eq!(destroyed.error(), (409, "invalid_state"));
    assert!(destroyed.message().contains("destroyed"), "{}", destroyed.message());
    assert_eq!(show(server, &ada, &id).await["timeout_sec"], 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_that_nobody_uses_is_paused_after_the_timeout_that_was_set(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    set(server, &key, &id, 1).await.ok(200);
    eventually("it is paused", || async { show(server, &key, &id).await["status"] == "paused" }).await;
}
