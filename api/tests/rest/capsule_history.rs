//! The history of a capsule: who did what to it and why, and what happened to it without a request.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_testkit::wait::eventually;

use crate::support::{As, TestServer, host::Installation};

async fn history(server: &TestServer, who: &As, id: &str) -> Vec<Value> {
    let found = server.get(&format!("/v1/capsules/{id}/events"), who).await.ok(200);
    let mut found = found.as_array().unwrap().clone();
    found.reverse();
    found
}

/// Event, status, kind and name of the actor.
fn short(entry: &Value) -> (&str, &str, &str, &str) {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    (text("event"), text("status"), text("actor_type"), text("actor_name"))
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_history_says_by_whom_and_why_and_outlives_the_capsule(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let signed_up = server.signup("ada").await;
    let ada = As::Token(signed_up["token"].as_str().unwrap().to_owned());
    let made = server.post("/v1/api-keys", &ada, json!({"name": "ci"})).await.ok(201);
    let key = As::Key(made["key"].as_str().unwrap().to_owned());
    let id = installation.running(&ada).await;
    let capsule = format!("/v1/capsules/{id}");
    let status = async || server.get(&capsule, &ada).await.text("status");

    server.post(&format!("{capsule}/pause"), &key, json!({})).await.ok(200);
    server.post(&format!("{capsule}/resume"), &ada, json!({})).await.ok(200);
    server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "name": "kept"})).await.ok(201);
    // A refusal is no part of the history.
    server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "name": "kept"})).await.error();
    server.post(&format!("{capsule}/timeout"), &ada, json!({"timeout_sec": 1})).await.ok(200);
    eventually("the idle capsule is paused", async || status().await == "paused").await;
    server.post(&format!("{capsule}/timeout"), &ada, json!({"timeout_sec": 0})).await.ok(200);
    server.post(&format!("{capsule}/resume"), &ada, json!({})).await.ok(200);
    assert!(installation.host.crash_machine(id.parse().unwrap()));
    eventually("the machine has ended", async || status().await == "stopped").await;
    server.delete(&capsule, &key).await.ok(204);

    let all = history(server, &ada, &id).await;
    assert_eq!(
        all.iter().map(short).collect::<Vec<_>>(),
        [
            ("created", "succeeded", "user", "ada"),
            ("paused", "succeeded", "api_key", "ci"),
            ("resumed", "succeeded", "user", "ada"),
            ("snapshot", "succeeded", "user", "ada"),
            ("timeout", "succeeded", "user", "ada"),
            ("paused", "succeeded", "system", "idle"),
            ("timeout", "succeeded", "user", "ada"),
            ("resumed", "succeeded", "user", "ada"),
            ("stopped", "", "", ""),
            ("destroyed", "succeeded", "api_key", "ci"),
        ]
    );
    assert_eq!((&all[0]["actor_id"], &all[1]["actor_id"]), (&signed_up["user_id"], &made["id"]));
    assert_eq!(
        (&all[3]["metadata"]["name"], &all[4]["metadata"]["timeout_sec"]),
        (&json!("kept"), &json!("1"))
    );
    assert_eq!((&all[5]["actor_id"], &all[0]["reason"]), (&Value::Null, &Value::Null));
    assert!(all[8]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{}", all[8]);
    assert!(
        all[8]["id"].as_str().unwrap().starts_with("inc-")
            && all[0]["id"].as_str().unwrap().starts_with("aud-")
    );
    assert!(all.iter().all(|entry| entry["settled_at"].is_string() && entry["created_at"].is_string()));

    // Page by page, newest first.
    let mut pages: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("{capsule}/events?limit=3{after}"), &ada).await;
        let next = page.headers.get("x-next-token").map(|token| token.to_str().unwrap().to_owned());
        let entries = page.ok(200);
        assert!(entries.as_array().unwrap().len() <= 3);
        pages.extend(entries.as_array().unwrap().clone());
        match next {
            Some(token) => after = format!("&after={token}"),
            None => break,
        }
    }
    pages.reverse();
    assert_eq!(pages, all);
    assert_eq!(
        server.get(&format!("{capsule}/events?limit=0"), &ada).await.error(),
        (400, "invalid_request")
    );
    assert_eq!(
        server.get(&format!("{capsule}/events?after=x"), &ada).await.error(),
        (400, "invalid_request")
    );

    // Rows of capsules that have ended may be removed long before their history.
    sqlx::query("DELETE FROM sandboxes").execute(&pool).await.unwrap();
    assert_eq!(history(server, &ada, &id).await, all);
    assert_eq!(server.get(&capsule, &ada).await.error(), (404, "not_found"));
    let bob = server.token("bob").await;
    let path = format!("{}/events", capsule.replace("capsules", "sandboxes"));
    assert_eq!(server.get(&path, &bob).await.error(), (404, "not_found"));
    // An attempt at another team's capsule is in the audit log of whoever made it, and shows nothing.
    server.delete(&capsule, &bob).await.error();
    assert_eq!(server.get(&path, &bob).await.error(), (404, "not_found"));
    let nobody = "/v1/capsules/cl-0000000000000000000000001/events";
    assert_eq!(server.get(nobody, &ada).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_start_that_fails_is_in_the_history(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let ada = installation.server.token("ada").await;
    installation.host.world().order_fault(SimStep::Boot, SimFault::Fail, 1);
    let failed = installation.server.post("/v1/capsules", &ada, json!({"wait": true})).await.body;
    let failed = match failed["id"].as_str() {
        Some(id) => id.to_owned(),
        None => {
            let rows = "SELECT resource_id FROM audit_logs WHERE action = 'capsule.create'";
            sqlx::query_scalar::<_, String>(rows).fetch_one(&pool).await.unwrap()
        }
    };
    eventually("the failed machine is removed", async || {
        let all = history(&installation.server, &ada, &failed).await;
        all.last().is_some_and(|entry| entry["event"] == "cleaned_up" && entry["status"] == "succeeded")
    })
    .await;
    let all = history(&installation.server, &ada, &failed).await;
    let events: Vec<_> = all.iter().map(|entry| short(entry).0).collect();
    assert_eq!(events[0], "created");
    assert!(events.contains(&"failed") && events.last() == Some(&"cleaned_up"), "{events:?}");
    assert_eq!(all[0]["status"], "failed");
    assert!(all[0]["reason"].is_string(), "{}", all[0]);
}
