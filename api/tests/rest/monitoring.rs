//! The page `/metrics`, as Prometheus reads it.

use serde_json::json;
use sqlx::PgPool;
use wrenn_domain::ids::SandboxId;
use wrenn_testkit::wait::eventually;

use crate::support::{As, TestServer, host::Installation};

async fn page(server: &TestServer) -> String {
    let page = server.get("/metrics", &As::Nobody).await;
    let content_type = page.headers["content-type"].to_str().unwrap();
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    page.body.as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing in\n{text}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn metrics_count_requests_by_route_not_by_address(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let unknown = format!("/v1/capsules/{}", SandboxId::new());
    server.get(&unknown, &server.token("ada").await).await;
    let text = page(&server).await;
    for line in [
        "wrenn_http_request_duration_seconds_count{method=\"GET\",route=\"/v1/capsules/{id}\",status=\"404\"} 1",
        "wrenn_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/auth/signup\",status=\"201\"} 1",
        "wrenn_capsules{status=\"running\"} 0",
        "wrenn_hosts{status=\"online\"} 0",
        "wrenn_actor_events_total{kind=\"placement\",event=\"start\"}",
        "wrenn_actor_calls_in_flight{kind=\"placement\"} 0",
        "wrenn_requests_in_flight{state=\"waiting\"} 0",
        "wrenn_database_connections{state=\"idle\"}",
        "wrenn_database_connections_max ",
        "wrenn_builds{status=\"pending\"} 0",
        "wrenn_notifications_pending 0",
        "wrenn_sessions 0",
    ] {
        assert_has(&text, line);
    }
    assert!(!text.contains("cl-"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn operations_have_a_duration_and_an_outcome(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    let path = format!("/v1/capsules/{id}");
    server.post(&format!("{path}/exec"), &key, json!({"cmd": "true"})).await.ok(200);
    for action in ["pause", "resume"] {
        server.post(&format!("{path}/{action}"), &key, json!({})).await.ok(200);
    }
    // Of what changes nothing there is no duration.
    server.post(&format!("{path}/resume"), &key, json!({})).await.ok(200);
    let of_operation = |operation: &str, outcome: &str| {
        format!(
            "wrenn_capsule_operation_duration_seconds_count{{operation=\"{operation}\",outcome=\"{outcome}\"}} 1"
        )
    };
    let text = page(server).await;
    for operation in ["starting", "pausing", "resuming"] {
        assert_has(&text, &of_operation(operation, "succeeded"));
    }
    assert_has(&text, "wrenn_capsule_placement_duration_seconds_count{outcome=\"succeeded\"} 1");
    assert_has(&text, "wrenn_tunnels_total{outcome=\"succeeded\"} 1");
    assert_has(&text, "wrenn_capsules{status=\"running\"} 1");
    assert_has(&text, "wrenn_hosts{status=\"online\"} 1");
    assert_has(&text, "wrenn_hosts_memory_bytes{state=\"total\"}");
    assert_has(&text, "wrenn_capsules_memory_bytes{status=\"running\"}");

    server.delete(&path, &key).await.ok(204);
    eventually("the end of the capsule has a duration", || async {
        page(server).await.contains(&of_operation("destroying", "succeeded"))
    })
    .await;
    assert!(!page(server).await.contains("outcome=\"failed\""));
}
