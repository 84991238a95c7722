//! The audit log over HTTP: who reads which entries, how they are found, paged and exported.

use serde_json::{Value, json};
use sqlx::{PgPool, types::Uuid};
use wrenn_domain::ids::{TeamId, UserId};

use crate::support::{As, TestServer};

/// A user's token, account and team.
struct Someone {
    token: As,
    user: UserId,
    team: TeamId,
}

async fn someone(server: &TestServer, name: &str) -> Someone {
    let signed_up = server.signup(name).await;
    let id = |field: &str| signed_up[field].as_str().unwrap();
    Someone {
        token: As::Token(id("token").to_owned()),
        user: id("user_id").parse().unwrap(),
        team: id("team_id").parse().unwrap(),
    }
}

/// Writes entries, each a second older than the one before, or all of one time.
async fn write(pool: &PgPool, who: &Someone, action: &str, count: i32, seconds_apart: i32) {
    sqlx::query(
        "INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type, resource_id,
            status, metadata, settled_at, created_at)
         SELECT gen_random_uuid(), $1, 'team', 'user', $2, '=HYPERLINK(\"x\"),\"y\"', $3, 'capsule', 'cl-' || n,
            'succeeded', jsonb_build_object('note', E'two\\nlines'), now(),
            now() - interval '1 hour' - n * $5 * interval '1 second'
         FROM generate_series(1, $4) AS n",
    )
    .bind(who.team.0)
    .bind(who.user.0)
    .bind(action)
    .bind(count)
    .bind(seconds_apart)
    .execute(pool)
    .await
    .unwrap();
}

fn list(answer: Value) -> Vec<Value> {
    answer.as_array().unwrap().clone()
}

fn ids(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn owners_and_admins_read_their_own_teams_log_and_nobody_elses(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let root = someone(&server, "root").await;
    let ada = someone(&server, "ada").await;
    let eve = someone(&server, "eve").await;
    server.key(&ada.token).await;
    server.key(&eve.token).await;

    let found = list(server.get("/v1/audit-logs", &ada.token).await.ok(200));
    let actions: Vec<_> = found.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["api_key.create", "user.sign_up"]);
    for entry in &found {
        assert_eq!((&entry["actor_id"], &entry["actor_name"]), (&json!(ada.user), &json!("ada")), "{entry}");
        assert_eq!((&entry["scope"], &entry["status"]), (&json!("team"), &json!("succeeded")), "{entry}");
        assert!(
            entry["id"].as_str().unwrap().starts_with("aud-") && entry.get("team_id").is_none(),
            "{entry}"
        );
        assert!(entry["created_at"].is_string() && entry["metadata"].is_object(), "{entry}");
    }

    // A member may not, neither with a key; an admin may.
    let add = |role: &'static str| {
        sqlx::query(
            "INSERT INTO team_members (team_id, user_id, role) VALUES ($1, $2, $3)
             ON CONFLICT (team_id, user_id) DO UPDATE SET role = $3",
        )
        .bind(ada.team.0)
        .bind(eve.user.0)
        .bind(role)
        .execute(&pool)
    };
    add("member").await.unwrap();
    let switch = json!({"team_id": ada.team});
    let member = As::Token(server.post("/v1/auth/switch-team", &eve.token, switch).await.text("token"));
    assert_eq!(server.get("/v1/audit-logs", &member).await.error(), (403, "forbidden"));
    let reader = server.key(&member).await;
    assert_eq!(server.get("/v1/audit-logs", &reader).await.error(), (403, "forbidden"));
    sqlx::query("UPDATE api_keys SET scopes = '{read,admin}' WHERE created_by = $1")
        .bind(eve.user.0)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(server.get("/v1/audit-logs", &reader).await.error(), (403, "forbidden"));
    add("admin").await.unwrap();
    for admin in [&member, &reader] {
        let found = list(server.get("/v1/audit-logs?resource_type=user", admin).await.ok(200));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    // The log of everything is for administrators of the platform.
    for who in [&ada.token, &member] {
        assert_eq!(server.get("/v1/admin/audit-logs", who).await.error(), (403, "forbidden"));
    }
    assert_eq!(server.get("/v1/admin/audit-logs", &reader).await.error(), (401, "unauthorized"));
    let all = list(server.get("/v1/admin/audit-logs?action=user.sign_up", &root.token).await.ok(200));
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!((&all[1]["team_id"], &all[1]["team_name"]), (&json!(ada.team), &json!("ada's team")));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn entries_are_found_by_resource_action_actor_and_time(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let ada = someone(&server, "ada").await;
    server.key(&ada.token).await;
    write(&pool, &ada, "capsule.create", 3, 60).await;
    let get = async |query: &str| {
        let found = server.get(&format!("/v1/audit-logs?{query}"), &ada.token).await.ok(200);
        list(found).len()
    };
    assert_eq!(get("").await, 5);
    assert_eq!(get("resource_type=capsule").await, 3);
    assert_eq!(get("resource_type=api_key").await, 1);
    assert_eq!(get("action=user.sign_up").await, 1);
    assert_eq!(get("action=no.such_action").await, 0);
    assert_eq!(get(&format!("actor_id={}", ada.user)).await, 5);
    assert_eq!(get(&format!("actor_id={}", UserId::new())).await, 0);
    let found = list(server.get("/v1/audit-logs?resource_type=capsule", &ada.token).await.ok(200));
    let middle = found[1]["created_at"].as_str().unwrap();
    assert_eq!(get(&format!("resource_type=capsule&since={middle}")).await, 2);
    assert_eq!(get(&format!("resource_type=capsule&until={middle}")).await, 1);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("since=yesterday", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("actor_id=cl-1", "actor_id"),
        ("action=a%00", "action"),
        ("resource_type=%27", "resource_type"),
        ("before_id=aud-1", "before_id"),
        ("after=AAAA", "after"),
        ("format=xml", "format"),
    ] {
        let answer = server.get(&format!("/v1/audit-logs?{query}"), &ada.token).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{query}");
        assert!(answer.message().starts_with(field), "{query}: {answer:?}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn pages_of_entries_of_one_time_neither_repeat_nor_leave_out_any(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let ada = someone(&server, "ada").await;
    let eve = someone(&server, "eve").await;
    write(&pool, &ada, "capsule.create", 120, 0).await;
    write(&pool, &ada, "capsule.create", 5, 60).await;
    // Entries of another team lie between those of every page, and as many have exactly the same times.
    write(&pool, &eve, "capsule.create", 120, 0).await;
    write(&pool, &eve, "capsule.create", 5, 60).await;
    sqlx::query(
        "INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type, status,
            metadata, settled_at, created_at)
         SELECT gen_random_uuid(), $2, scope, actor_type, actor_id, actor_name, action, resource_type, status, metadata,
            settled_at, created_at
         FROM audit_logs WHERE team_id = $1 AND action = 'capsule.create'",
    )
    .bind(ada.team.0)
    .bind(eve.team.0)
    .execute(&pool)
    .await
    .unwrap();
    let whole = list(server.get("/v1/audit-logs?action=capsule.create&limit=500", &ada.token).await.ok(200));
    assert_eq!(whole.len(), 125);
    assert_eq!(list(server.get("/v1/audit-logs", &ada.token).await.ok(200)).len(), 50);

    let (mut by_place, mut by_token) = (Vec::new(), Vec::new());
    let mut place = String::new();
    let mut token = String::new();
    loop {
        let path = format!("/v1/audit-logs?action=capsule.create&limit=50{place}");
        let page = list(server.get(&path, &ada.token).await.ok(200));
        by_place.extend(ids(&page));
        let Some(last) = page.last() else { break };
        let (at, id) = (last["created_at"].as_str().unwrap(), last["id"].as_str().unwrap());
        place = format!("&before={at}&before_id={id}");
        if let Some(known) = token.strip_prefix('!') {
            assert_eq!(known, "", "the last page has no token");
            continue;
        }
        let answer =
            server.get(&format!("/v1/audit-logs?action=capsule.create&limit=50{token}"), &ada.token).await;
        let next = answer.headers.get("x-next-token").map(|next| next.to_str().unwrap().to_owned());
        by_token.extend(ids(&list(answer.ok(200))));
        token = next.map_or_else(|| "!".to_owned(), |next| format!("&after={next}"));
    }
    assert_eq!(by_place, ids(&whole));
    assert_eq!(by_token, ids(&whole));

    // A place of one team's log is a place only: in another team's log it leads to that one's entries.
    let first = server.get("/v1/audit-logs?action=capsule.create&limit=50", &ada.token).await;
    let next = first.headers["x-next-token"].to_str().unwrap().to_owned();
    let last = list(first.ok(200)).pop().unwrap();
    let (at, id) = (last["created_at"].as_str().unwrap(), last["id"].as_str().unwrap());
    for place in [format!("after={next}"), format!("before={at}&before_id={id}"), format!("before={at}")] {
        let path = format!("/v1/audit-logs?action=capsule.create&limit=500&{place}");
        let page = ids(&list(server.get(&path, &eve.token).await.ok(200)));
        assert!(!page.is_empty() && !page.iter().any(|id| by_place.contains(id)), "{place}: {page:?}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_export_has_every_entry_and_no_formula(pool: PgPool) {
    const MANY: i32 = 2_345;
    let server = TestServer::start(pool.clone()).await;
    let root = someone(&server, "root").await;
    let ada = someone(&server, "ada").await;
    let eve = someone(&server, "eve").await;
    write(&pool, &ada, "capsule.create", MANY, 1).await;
    write(&pool, &eve, "capsule.create", 3, 1).await;
    let export = async |path: &str, who: &As, accept: Option<&str>| {
        let request = server.request("GET", path, who);
        let request = accept.into_iter().fold(request, |request, accept| request.header("accept", accept));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        (kind, answer.text().await.unwrap())
    };

    let lines = "/v1/audit-logs?action=capsule.create&format=jsonl";
    let (kind, text) = export(lines, &ada.token, None).await;
    assert_eq!(kind, "application/jsonl");
    let mut entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), MANY as usize);
    assert!(entries.iter().all(|entry| entry["actor_id"] == json!(ada.user)));
    let newest_first = ids(&entries);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry["created_at"].as_str().unwrap().to_owned()));
    assert_eq!(ids(&entries), newest_first);

    let (kind, text) = export("/v1/audit-logs?action=capsule.create", &ada.token, Some("text/csv")).await;
    assert!(kind.starts_with("text/csv"), "{kind}");
    assert!(
        text.starts_with("id,created_at,settled_at,actor_type,actor_id,actor_name,action,"),
        "{text:.200}"
    );
    // The quoted cell begins with an apostrophe, so a spreadsheet shows it as the text that it is.
    assert_eq!(text.matches(r#","'=HYPERLINK(""x""),""y""","#).count(), MANY as usize);
    assert_eq!(text.matches("\r\n").count(), MANY as usize + 1);

    let all = "/v1/admin/audit-logs?action=capsule.create&format=csv";
    let (_, text) = export(all, &root.token, None).await;
    assert!(text.lines().next().unwrap().ends_with(",metadata,team_id,team_name"), "{text:.300}");
    assert_eq!(text.matches("\r\n").count(), MANY as usize + 3 + 1);
    assert_eq!(text.matches(&ada.team.to_string()).count(), MANY as usize);

    let (_, nothing) = export("/v1/audit-logs?action=no.such_action&format=jsonl", &ada.token, None).await;
    assert_eq!(nothing, "");
    let refused = server.get("/v1/audit-logs?format=csv&since=never", &ada.token).await;
    assert_eq!(refused.error(), (400, "invalid_request"));
}

/// Pages are read by an index, however many entries there are: the conditions are those of `store/src/audit_log.rs`.
#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn pages_of_a_large_log_are_read_by_an_index(pool: PgPool) {
    sqlx::query(
        "INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_name, action, resource_type, status, settled_at,
            created_at)
         SELECT gen_random_uuid(), lpad(to_hex(n % 100 + 1), 32, '0')::uuid, 'team', 'system', 'idle', 'capsule.pause',
            'capsule', 'succeeded', now(), now() - n * interval '1 second'
         FROM generate_series(1, 200000) AS n",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE audit_logs").execute(&pool).await.unwrap();
    let plan = async |of: &str| {
        let explain = format!(
            "EXPLAIN SELECT id FROM audit_logs WHERE {of}
                AND (created_at, id) < (COALESCE(now() - interval '1 hour', 'infinity'), COALESCE(NULL::uuid,
                    'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                AND created_at >= COALESCE(NULL::timestamptz, '-infinity')
                AND created_at < COALESCE(NULL::timestamptz, 'infinity')
                AND (NULL::text IS NULL OR resource_type = NULL)
             ORDER BY created_at DESC, id DESC LIMIT 51"
        );
        let lines: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&pool).await.unwrap();
        lines.join("\n")
    };
    for (of, index) in [
        (format!("team_id = '{}'", Uuid::from_u128(7)), "audit_logs_team"),
        ("NULL::uuid IS NULL".to_owned(), "audit_logs_newest"),
    ] {
        let plan = plan(&of).await;
        assert!(plan.contains(&format!("using {index}")), "{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    }
}
