//! Pages of lists over HTTP.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::ids::{SandboxId, TeamId};
use wrenn_store::Store;
use wrenn_testkit::{rows, wait::eventually};

use crate::support::{As, TestServer};

/// Reads a list page by page, and compares it with the whole.
async fn read(server: &TestServer, path: &str, who: &As, limit: usize) -> Vec<Value> {
    let sign = if path.contains('?') { '&' } else { '?' };
    let answer = server.get(path, who).await;
    assert!(!answer.headers.contains_key("x-next-token"), "{path} is whole");
    let whole = answer.ok(200).as_array().unwrap().clone();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let answer = server.get(&format!("{path}{sign}limit={limit}{after}"), who).await;
        let next = answer.headers.get("x-next-token").map(|next| next.to_str().unwrap().to_owned());
        let page = answer.ok(200).as_array().unwrap().clone();
        assert!(page.len() <= limit && (next.is_none() || page.len() == limit), "{path}: {page:?}");
        found.extend(page);
        let Some(next) = next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, whole, "{path}");
    whole
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_list_is_read_page_by_page_as_it_is_as_a_whole(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let root = server.signup("root").await;
    let (token, team) =
        (As::Token(root["token"].as_str().unwrap().to_owned()), root["team_id"].as_str().unwrap());
    let team: TeamId = team.parse().unwrap();
    let eve = server.token("eve").await;
    let store = Store::from_pool(pool.clone());
    let host = rows::host(&store).await;
    for _ in 0..3 {
        rows::host(&store).await;
    }
    // Three of one time each, so that pages end between them.
    for n in 0..7 {
        sqlx::query(
            "INSERT INTO sandboxes (id, team_id, template_name, host_id, vcpus, memory_mb, default_user, status, created_at)
             VALUES ($1, $2, 'minimal', $3, 1, 128, 'root', 'stopped', now() - $4 * interval '1 minute')",
        )
        .bind(SandboxId::new().0)
        .bind(team.0)
        .bind(host.0)
        .bind(n / 3)
        .execute(&pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO templates (id, team_id, name, type, disk_size_mb, image)
             VALUES (gen_random_uuid(), $1, 't' || $2, 'base', 1, 'minimal.ext4')",
        )
        .bind(team.0)
        .bind(n)
        .execute(&pool)
        .await
        .unwrap();
        server.post("/v1/api-keys", &token, json!({})).await.ok(201);
        server.signup(&format!("user{n}")).await;
        let body = json!({"name": format!("b{n}"), "recipe": "ENV A=1", "skip_pre_post": true});
        let build = server.post("/v1/admin/builds", &token, body).await.text("id");
        server.post(&format!("/v1/admin/builds/{build}/cancel"), &token, json!({})).await.ok(200);
    }
    // The server's claim changes when a host was updated.
    eventually("the server has claimed all hosts", async || {
        let unclaimed = sqlx::query_scalar("SELECT count(*) FROM hosts WHERE attached_to IS NULL");
        let unclaimed: i64 = unclaimed.fetch_one(&pool).await.unwrap();
        unclaimed == 0
    })
    .await;
    for (path, count) in [
        ("/v1/capsules", 7),
        ("/v1/admin/capsules", 7),
        ("/v1/snapshots", 8),
        ("/v1/snapshots?type=base", 8),
        ("/v1/admin/templates", 8),
        ("/v1/api-keys", 7),
        ("/v1/admin/builds", 7),
        ("/v1/admin/users", 9),
        ("/v1/admin/teams", 9),
        ("/v1/hosts", 4),
    ] {
        for limit in [1, 3, 7, 1000] {
            assert_eq!(read(&server, path, &token, limit).await.len(), count, "{path}");
        }
        for query in ["limit=0", "limit=1001", "limit=x", "after=x", "after="] {
            let sign = if path.contains('?') { '&' } else { '?' };
            let answer = server.get(&format!("{path}{sign}{query}"), &token).await;
            assert_eq!(answer.error(), (400, "invalid_request"), "{path} {query}");
        }
    }
    // A token is a place only: it shows nobody what is another team's.
    let answer = server.get("/v1/capsules?limit=1", &token).await;
    let next = answer.headers["x-next-token"].to_str().unwrap();
    assert_eq!(server.get(&format!("/v1/capsules?after={next}"), &eve).await.ok(200), json!([]));
}
