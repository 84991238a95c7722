//! Requests that are wrong in themselves, and what every answer has in common.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_proto::ids::{ApiKeyId, HostId, SandboxId};

use crate::support::{As, TestServer};

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn bad_input_is_a_clear_error_and_leaves_nothing(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let long = "x".repeat(2000);
    let many: Value = (0..65).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into();
    for (body, status, code, word) in [
        (json!({"template": "no-such"}), 404, "not_found", "no-such"),
        (json!({"template": "no\u{0}such"}), 404, "not_found", "template"),
        (json!({"template": ""}), 404, "not_found", "template"),
        (json!({"template": 7}), 400, "invalid_request", "template"),
        (json!({"vcpus": 0}), 400, "invalid_request", "vcpus"),
        (json!({"vcpus": 10_000}), 400, "invalid_request", "vcpus"),
        (json!({"vcpus": 1.5}), 400, "invalid_request", "vcpus"),
        (json!({"vcpus": "two"}), 400, "invalid_request", "vcpus"),
        (json!({"vcpus": 1e30}), 400, "invalid_request", "vcpus"),
        (json!({"memory_mb": -512}), 400, "invalid_request", "memory_mb"),
        (json!({"memory_mb": 127}), 400, "invalid_request", "memory_mb"),
        (json!({"memory_mb": 65_537}), 400, "invalid_request", "memory_mb"),
        (json!({"disk_size_mb": 1}), 400, "invalid_request", "disk_size_mb"),
        (json!({"disk_size_mb": 1_048_577}), 400, "invalid_request", "disk_size_mb"),
        (json!({"timeout_sec": -1}), 400, "invalid_request", "timeout_sec"),
        (json!({"memory": 512}), 400, "invalid_request", "memory"),
        (json!({"envs": {"A=B": "c"}}), 400, "invalid_request", "envs"),
        (json!({"envs": {"A": "\u{0}"}}), 400, "invalid_request", "envs"),
        (json!({"envs": {"A": 1}}), 400, "invalid_request", "envs.A"),
        (json!({"metadata": {"a": "\u{0}"}}), 400, "invalid_request", "metadata"),
        (json!({"metadata": {"a": long}}), 400, "invalid_request", "metadata"),
        (json!({"metadata": many}), 400, "invalid_request", "metadata"),
        (json!({"metadata": ["a"]}), 400, "invalid_request", "metadata"),
        (json!({"wait": "yes"}), 400, "invalid_request", "wait"),
        (json!([]), 400, "invalid_request", ""),
        (json!("text"), 400, "invalid_request", ""),
    ] {
        let answer = server.post("/v1/capsules", &ada, body.clone()).await;
        assert_eq!(answer.error(), (status, code), "{body}");
        assert!(answer.message().contains(word), "{body}: {}", answer.message());
    }
    let answer = server.post("/v1/capsules?wait=perhaps", &ada, json!({})).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sandboxes").fetch_one(&server.pool).await.unwrap();
    assert_eq!(count, 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_body_that_is_no_json_is_explained(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let json_type = Some("application/json");
    for (content_type, body, status, code, word) in [
        (json_type, "{", 400, "invalid_request", "JSON"),
        (json_type, "{\"vcpus\": }", 400, "invalid_request", "line 1"),
        (json_type, "{} {}", 400, "invalid_request", "JSON"),
        (json_type, "", 400, "invalid_request", "empty"),
        (json_type, "\u{feff}{}", 400, "invalid_request", "JSON"),
        (Some("text/plain"), "{}", 400, "invalid_request", "application/json"),
        (Some("application/x-www-form-urlencoded"), "a=b", 400, "invalid_request", "application/json"),
        (Some("multipart/form-data"), "{}", 400, "invalid_request", "application/json"),
    ] {
        let answer = server.post_raw("/v1/capsules", &ada, content_type, body.into()).await;
        assert_eq!(answer.error(), (status, code), "{content_type:?} {body:?}");
        assert!(answer.message().contains(word), "{body:?}: {}", answer.message());
    }
    let deep = "[".repeat(100_000);
    let answer = server.post_raw("/v1/capsules", &ada, json_type, deep).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    let huge = format!("{{\"template\": \"{}\"}}", "x".repeat(1024 * 1024));
    let answer = server.post_raw("/v1/capsules", &ada, json_type, huge).await;
    assert_eq!(answer.error(), (413, "too_large"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn ids_of_a_wrong_shape_are_400_and_unknown_ones_404(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let cmd = json!({"cmd": "true"});
    for bad in ["x", "cl-", "cl-%00", "CL-0000000000000000000000000", &HostId::new().to_string(), "%ff"] {
        let path = format!("/v1/capsules/{bad}");
        let answer = server.get(&path, &ada).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad}");
        assert!(answer.message().contains("cl-"), "{}", answer.message());
        assert_eq!(server.delete(&path, &ada).await.error(), (400, "invalid_request"), "{bad}");
        let answer = server.post(&format!("{path}/exec"), &ada, cmd.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad}");
    }
    let unknown = format!("/v1/capsules/{}", SandboxId::new());
    assert_eq!(server.get(&unknown, &ada).await.error(), (404, "not_found"));
    assert_eq!(server.delete(&unknown, &ada).await.error(), (404, "not_found"));
    let exec = format!("{unknown}/exec");
    assert_eq!(server.post(&exec, &ada, cmd).await.error(), (404, "not_found"));
    let key = format!("/v1/api-keys/{}", ApiKeyId::new());
    assert_eq!(server.delete(&key, &ada).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn addresses_and_methods_that_do_not_exist_are_json_errors(pool: PgPool) {
    let server = TestServer::start(pool).await;
    for path in ["/v1", "/v1/nothing", "/api/v1/nothing", "/api", "/v1/capsules/a/b/c", "/docs/nothing.js"] {
        assert_eq!(server.get(path, &As::Nobody).await.error(), (404, "not_found"), "{path}");
    }
    let answer = server.post("/nothing", &As::Nobody, json!({})).await;
    assert_eq!(answer.error(), (404, "not_found"));

    let answer = server.send(server.request("PATCH", "/v1/capsules", &As::Nobody)).await;
    assert_eq!(answer.error(), (405, "method_not_allowed"));
    assert_eq!(answer.headers["allow"], "GET, POST");
    for path in ["/v1/capsules/x", "/v1/auth/login", "/health", "/openapi.json"] {
        let answer = server.send(server.request("PUT", path, &As::Nobody)).await;
        assert_eq!(answer.error(), (405, "method_not_allowed"), "{path}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn without_a_host_creating_is_503_and_leaves_nothing(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let key = server.key(&server.token("ada").await).await;
    for path in ["/v1/capsules", "/v1/capsules?wait=true"] {
        let answer = server.post(path, &key, json!({})).await;
        assert_eq!(answer.error(), (503, "host_unavailable"));
    }
    assert_eq!(server.get("/v1/capsules", &key).await.ok(200), json!([]));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn health_says_what_is_wrong(pool: PgPool) {
    let mut config = crate::support::config(&pool);
    let server = TestServer::start(pool.clone()).await;
    let health = server.get("/health", &As::Nobody).await.ok(200);
    assert_eq!(health["status"], "degraded");
    assert_eq!((&health["database"]["status"], &health["redis"]["status"]), (&json!("ok"), &json!("ok")));
    assert_eq!(health["hosts"]["online"], 0);
    assert!(health["hosts"]["message"].as_str().unwrap().contains("no host"));

    config.redis_url = "redis+unix:///nonexistent/redis.sock".into();
    let without_redis = TestServer::start_with(pool, config).await;
    let health = without_redis.get("/health", &As::Nobody).await.ok(200);
    assert_eq!(health["redis"]["status"], "down");
    assert!(!health.to_string().contains("nonexistent"), "no path leaks: {health}");
    without_redis.signup("ada").await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_database_that_fails_is_a_500_that_tells_nothing(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    sqlx::query("ALTER TABLE sandboxes RENAME TO hidden").execute(&server.pool).await.unwrap();
    let answer = server.get("/v1/capsules", &ada).await;
    assert_eq!(answer.error(), (500, "internal_error"));
    let text = answer.body.to_string();
    for secret in ["sandboxes", "SELECT", "relation", "postgres"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_answer_carries_a_request_id_and_safe_headers(pool: PgPool) {
    let server = TestServer::start(pool).await;
    for path in ["/health", "/v1/me", "/v1/nothing", "/", "/docs/", "/metrics"] {
        let answer = server.get(path, &As::Nobody).await;
        assert!(answer.headers["x-request-id"].len() >= 32, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{path}");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors"));
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let own = server.request("GET", "/v1/me", &As::Nobody).header("x-request-id", "mine-1");
    assert_eq!(server.send(own).await.headers["x-request-id"], "mine-1");
    let bad = server.request("GET", "/v1/me", &As::Nobody).header("x-request-id", "no spaces please");
    assert_ne!(server.send(bad).await.headers["x-request-id"], "no spaces please");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn pages_belong_to_the_dashboard_and_docs_need_no_other_server(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let start = server.get("/", &As::Nobody).await;
    assert_eq!((start.status, start.headers["cache-control"].to_str().unwrap()), (200, "no-cache"));
    assert!(start.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(server.get("/capsules/some-page", &As::Nobody).await.body, start.body);
    let missing = server.get("/_app/immutable/missing.js", &As::Nobody).await;
    assert_eq!(missing.error(), (404, "not_found"));
    let tag = start.headers["etag"].to_str().unwrap();
    let again = server.request("GET", "/", &As::Nobody).header("if-none-match", tag);
    assert_eq!(server.send(again).await.status, 304);

    let docs = server.get("/docs", &As::Nobody).await;
    let docs = docs.body.as_str().expect("a page, after a redirect");
    assert!(docs.contains("swagger") && !docs.contains("http://") && !docs.contains("https://"), "{docs}");
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        assert_eq!(server.get(&format!("/docs/{file}"), &As::Nobody).await.status, 200, "{file}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn fault_routes_are_for_admins_and_exist_only_where_configured(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (admin, bob) = (server.token("ada").await, server.token("bob").await);
    let path = "/v1/admin/faults/panic";
    let body = json!({"actor": "host", "id": HostId::new()});
    assert_eq!(server.post(path, &As::Nobody, body.clone()).await.error(), (401, "unauthorized"));
    assert_eq!(server.post(path, &bob, body.clone()).await.error(), (403, "forbidden"));
    assert_eq!(server.post(path, &admin, body.clone()).await.error(), (404, "not_found"));
    let wrong = json!({"actor": "host", "id": "x"});
    assert_eq!(server.post(path, &admin, wrong).await.error(), (400, "invalid_request"));
    drop(server);

    let config = wrenn_api::ServerConfig {
        fault_injection: wrenn_api::FaultInjection::Off,
        ..crate::support::config(&pool)
    };
    let server = TestServer::start_with(pool, config).await;
    let answer = server.post(path, &admin, body).await;
    assert_eq!(answer.error(), (404, "not_found"));
    assert!(answer.message().contains("address"), "{answer:?}");
}
