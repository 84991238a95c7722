//! A capsule whose host is attached to another server.

use serde_json::json;
use sqlx::PgPool;
use wrenn_testkit::wait::eventually;

use crate::support::{self, Answer, TestServer, host::Installation};

/// Checks that an answer sends the client to the other server, or back in a moment.
#[track_caller]
fn is_elsewhere(answer: &Answer) {
    assert_eq!(answer.error(), (503, "host_unavailable"));
    assert!(answer.message().contains("another server"), "{}", answer.message());
    let retry = answer.headers.get("retry-after").expect("the client is told when to try again");
    assert!(retry.to_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn requests_that_another_server_must_carry_out_say_so(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let token = installation.server.token("ada").await;
    let id = installation.running(&token).await;
    let second = TestServer::start_with(pool.clone(), support::config(&pool)).await;
    let capsule = format!("/v1/capsules/{id}");

    for (path, body) in [
        ("pause", json!({})),
        ("resume", json!({})),
        ("ping", json!({})),
        ("timeout", json!({"timeout_sec": 60})),
        ("exec", json!({"cmd": "true"})),
    ] {
        is_elsewhere(&second.post(&format!("{capsule}/{path}"), &token, body).await);
    }
    is_elsewhere(&second.post("/v1/snapshots", &token, json!({"sandbox_id": id, "name": "kept"})).await);
    is_elsewhere(&second.delete(&capsule, &token).await);
    // The second server has no host of its own, so there is no room for another capsule.
    let created = second.post("/v1/capsules", &token, json!({})).await;
    assert_eq!(created.error(), (503, "host_unavailable"));

    // Every server answers what only the database is asked for.
    assert_eq!(second.get(&capsule, &token).await.ok(200)["status"], "running");
    let health = second.get("/health", &support::As::Nobody).await.ok(200);
    assert_eq!(
        (&health["hosts"]["online"], &health["hosts"]["total"]),
        (&json!(0), &json!(1)),
        "none is its own"
    );
    assert_eq!(installation.prints(&token, &id, "echo here").await.trim(), "here");
    installation.server.post(&format!("{capsule}/pause"), &token, json!({})).await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_has_ended_keeps_no_connection(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let token = installation.server.token("ada").await;
    installation.running(&token).await;
    tokio::task::spawn_blocking(move || drop(installation)).await.unwrap();
    eventually("only the test is connected", async || {
        let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
        let connected: i64 = sqlx::query_scalar(connected).fetch_one(&pool).await.unwrap();
        connected <= i64::from(pool.size())
    })
    .await;
}
