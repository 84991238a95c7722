//! Requests of older agents over HTTP: registration, renewal, heartbeats.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_testkit::wait::eventually;

use crate::{
    hosts::{added, text},
    support::{Answer, As, TestServer, host::Installation},
};

async fn register(server: &TestServer, token: &str) -> Answer {
    let body = json!({
        "token": token, "address": "10.0.0.7:9000", "arch": "x86_64", "cpu_cores": 8, "memory_mb": 16_384, "disk_gb": 100,
    });
    server.post("/v1/hosts/register", &As::Nobody, body).await
}

async fn heartbeat(server: &TestServer, host: &str, token: &str) -> Answer {
    let request = server.request("POST", &format!("{host}/heartbeat"), &As::Nobody);
    server.send(request.header("X-Host-Token", token)).await
}

async fn refresh(server: &TestServer, token: &Value) -> Answer {
    server.post("/v1/hosts/auth/refresh", &As::Nobody, json!({"refresh_token": token})).await
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_token_registers_one_host_once(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let root = server.token("root").await;
    let (host, token) = added(&server, &root, json!({"type": "regular"})).await;
    let (one, other) = tokio::join!(register(&server, &token), register(&server, &token));
    let (registered, refused) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!(refused.error(), (401, "unauthorized"));
    let registered = registered.ok(201);
    assert_eq!(format!("/v1/hosts/{}", text(&registered["host"], "id")), host);
    let shown = server.get(&host, &root).await.ok(200);
    for (field, value) in [
        ("address", json!("10.0.0.7:9000")),
        ("arch", json!("x86_64")),
        ("cpu_cores", json!(8)),
        ("memory_mb", json!(16_384)),
        ("disk_gb", json!(100)),
        ("last_heartbeat_at", Value::Null),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    for wrong in ["", "reg_wrong", &text(&registered, "token")] {
        assert_eq!(register(&server, wrong).await.error(), (401, "unauthorized"), "{wrong}");
    }
    let huge = json!({"token": token, "address": "a", "cpu_cores": 4_000_000_000_u32});
    let answer = server.post("/v1/hosts/register", &As::Nobody, huge).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    let control = json!({"token": token, "address": "a\u{0}b"});
    let answer = server.post("/v1/hosts/register", &As::Nobody, control).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn another_token_voids_the_former_one_and_an_expired_one_is_refused(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let root = server.token("root").await;
    let (host, first) = added(&server, &root, json!({"type": "regular"})).await;
    let issued = server.post(&format!("{host}/token"), &root, json!({})).await.ok(201);
    assert_eq!(register(&server, &first).await.error(), (401, "unauthorized"));
    sqlx::query("UPDATE host_tokens SET expires_at = now()").execute(&pool).await.unwrap();
    let second = text(&issued, "registration_token");
    assert_eq!(register(&server, &second).await.error(), (401, "unauthorized"));
    let issued = server.post(&format!("{host}/token"), &root, json!({})).await.ok(201);
    register(&server, &text(&issued, "registration_token")).await.ok(201);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn no_token_is_issued_for_a_host_that_is_online(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let root = installation.server.root().await;
    let hosts = installation.server.get("/v1/hosts", &root).await.ok(200);
    let path = format!("/v1/hosts/{}/token", text(&hosts[0], "id"));
    let answer = installation.server.post(&path, &root, json!({})).await;
    assert_eq!(answer.error(), (409, "invalid_state"));
    installation.lose_host().await;
    eventually("the row says so", || async {
        installation.server.post(&path, &root, json!({})).await.status == 201
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn credentials_are_renewed_and_a_host_speaks_for_itself_only(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let (host, token) = added(&server, &root, json!({"type": "regular"})).await;
    let (other, other_token) = added(&server, &root, json!({"type": "regular"})).await;
    let ours = register(&server, &token).await.ok(201);
    let theirs = register(&server, &other_token).await.ok(201);

    heartbeat(&server, &host, &text(&ours, "token")).await.ok(204);
    assert_eq!(heartbeat(&server, &host, &text(&theirs, "token")).await.error(), (403, "forbidden"));
    for wrong in ["", "hst_wrong", &text(&ours, "refresh_token")] {
        assert_eq!(heartbeat(&server, &host, wrong).await.error(), (401, "unauthorized"), "{wrong}");
    }
    let missing = server.post(&format!("{host}/heartbeat"), &root, json!({})).await;
    assert_eq!(missing.error(), (401, "unauthorized"));
    let shown = server.get(&host, &root).await.ok(200);
    assert!(shown["last_heartbeat_at"].is_string() && shown["status"] == "pending", "{shown}");
    assert_eq!(server.get(&other, &root).await.ok(200)["last_heartbeat_at"], Value::Null);
    // The token gives no right beyond that.
    for path in ["/v1/hosts", host.as_str(), "/v1/capsules"] {
        let answer = server
            .send(server.request("GET", path, &As::Nobody).header("X-Host-Token", text(&ours, "token")));
        assert_eq!(answer.await.error(), (401, "unauthorized"), "{path}");
    }

    let renewed = refresh(&server, &ours["refresh_token"]).await.ok(200);
    assert_eq!(renewed["host"]["id"], ours["host"]["id"]);
    heartbeat(&server, &host, &text(&renewed, "token")).await.ok(204);
    for wrong in [json!(""), ours["token"].clone()] {
        assert_eq!(refresh(&server, &wrong).await.error(), (401, "unauthorized"));
    }
    server.delete(&host, &root).await.ok(204);
    assert_eq!(heartbeat(&server, &host, &text(&renewed, "token")).await.error(), (401, "unauthorized"));
    assert_eq!(refresh(&server, &renewed["refresh_token"]).await.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_network_registers_a_bounded_number_of_times(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let mut answers = Vec::new();
    for _ in 0..150 {
        answers.push(register(&server, "reg_wrong").await);
        if answers.last().is_some_and(|answer| answer.status == 429) {
            break;
        }
    }
    let last = answers.pop().unwrap();
    assert_eq!(last.error(), (429, "rate_limited"));
    assert!(last.headers.contains_key("retry-after"), "{last:?}");
    assert!(answers.len() >= 100 && answers.iter().all(|answer| answer.status == 401));
}
