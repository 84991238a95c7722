//! Administration of the platform over HTTP: teams, users, capsules, settings.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::ids::{TeamId, UserId};
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, TestServer, host::Installation};

async fn put(server: &TestServer, path: &str, who: &As, body: Value) -> Answer {
    server.send(server.request("PUT", path, who).json(&body)).await
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// The record with an id in a list.
fn find<'a>(list: &'a Value, id: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {list}"))
}

async fn root(server: &TestServer) -> As {
    let body = json!({"email": "root@example.org", "password": "correct horse"});
    As::Token(server.post("/v1/auth/login", &As::Nobody, body).await.text("token"))
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn administration_is_for_administrators_at_the_time_of_the_request(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let ada = server.signup("ada").await;
    let token = As::Token(text(&ada, "token").to_owned());
    let (user, team) = (text(&ada, "user_id"), text(&ada, "team_id"));
    let requests = [
        ("GET", "/v1/admin/teams".to_owned(), json!({})),
        ("GET", "/v1/admin/users".to_owned(), json!({})),
        ("GET", "/v1/admin/capsules".to_owned(), json!({})),
        ("GET", "/v1/admin/settings".to_owned(), json!({})),
        ("PUT", "/v1/admin/settings".to_owned(), json!({"quota": {}})),
        ("PUT", format!("/v1/admin/teams/{team}/quota"), json!({})),
        ("PUT", format!("/v1/admin/teams/{team}/byoc"), json!({"enabled": true})),
        ("DELETE", format!("/v1/admin/teams/{team}"), json!({})),
        ("PUT", format!("/v1/admin/users/{user}/active"), json!({"active": true})),
        ("PUT", format!("/v1/admin/users/{user}/admin"), json!({"is_admin": true})),
    ];
    for (method, path, body) in &requests {
        let answer = server.send(server.request(method, path, &token).json(body)).await;
        assert_eq!(answer.error(), (403, "forbidden"), "{method} {path}");
    }
    let grant = |is_admin: bool| json!({"is_admin": is_admin});
    put(&server, &format!("/v1/admin/users/{user}/admin"), &root, grant(true)).await.ok(204);
    // The token was made before.
    server.get("/v1/admin/users", &token).await.ok(200);
    put(&server, &format!("/v1/admin/users/{user}/admin"), &root, grant(false)).await.ok(204);
    assert_eq!(server.get("/v1/admin/users", &token).await.error(), (403, "forbidden"));

    for (path, body) in [
        (format!("/v1/admin/users/{}/active", UserId::new()), json!({"active": false})),
        (format!("/v1/admin/users/{}/admin", UserId::new()), grant(true)),
        (format!("/v1/admin/teams/{}/byoc", TeamId::new()), json!({"enabled": true})),
        (format!("/v1/admin/teams/{}/quota", TeamId::new()), json!({})),
        (format!("/v1/admin/teams/{}/quota", TeamId::PLATFORM), json!({})),
    ] {
        assert_eq!(put(&server, &path, &root, body).await.error(), (404, "not_found"), "{path}");
    }
    let nowhere = format!("/v1/admin/teams/{}", TeamId::PLATFORM);
    assert_eq!(server.delete(&nowhere, &root).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_account_that_is_switched_off_ends_with_its_sessions_and_keys(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let ada = server.signup("ada").await;
    let token = As::Token(text(&ada, "token").to_owned());
    let key = server.key(&token).await;
    let path = format!("/v1/admin/users/{}/active", text(&ada, "user_id"));
    put(&server, &path, &root, json!({"active": false})).await.ok(204);
    for who in [&token, &key] {
        assert_eq!(server.get("/v1/capsules", who).await.error(), (403, "account_disabled"));
    }
    let body = json!({"email": "ada@example.org", "password": "correct horse"});
    let answer = server.post("/v1/auth/login", &As::Nobody, body.clone()).await;
    assert!(answer.status == 401 || answer.status == 403, "{answer:?}");
    let listed = server.get("/v1/admin/users", &root).await.ok(200);
    assert_eq!(find(&listed, text(&ada, "user_id"))["is_active"], false);

    put(&server, &path, &root, json!({"active": true})).await.ok(204);
    // Its sessions stay ended; its keys, and new sessions, work.
    assert_eq!(server.get("/v1/capsules", &token).await.error(), (401, "unauthorized"));
    server.get("/v1/capsules", &key).await.ok(200);
    server.post("/v1/auth/login", &As::Nobody, body).await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_platform_always_has_an_active_administrator(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let first = server.signup("root").await;
    let second = server.signup("second").await;
    let token = |of: &Value| As::Token(text(of, "token").to_owned());
    let active = |of: &Value| format!("/v1/admin/users/{}/active", text(of, "user_id"));
    let admin = |of: &Value| format!("/v1/admin/users/{}/admin", text(of, "user_id"));
    let off = json!({"active": false});

    assert_eq!(put(&server, &active(&first), &token(&first), off.clone()).await.error(), (409, "conflict"));
    let withdraw = json!({"is_admin": false});
    assert_eq!(
        put(&server, &admin(&first), &token(&first), withdraw.clone()).await.error(),
        (409, "conflict")
    );
    put(&server, &admin(&second), &token(&first), json!({"is_admin": true})).await.ok(204);

    // Each takes the right, or the account, of the other at the same time.
    let (by_first, by_second) = (token(&first), token(&second));
    let (path_first, path_second) = (admin(&first), active(&second));
    let (one, other) = tokio::join!(
        put(&server, &path_second, &by_first, off),
        put(&server, &path_first, &by_second, withdraw)
    );
    let done = [&one, &other].iter().filter(|answer| answer.status == 204).count();
    assert_eq!(done, 1, "{one:?} {other:?}");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE is_admin AND is_active")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn teams_and_capsules_of_everybody_are_listed_and_a_deleted_team_loses_its_capsules(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let root = root(server).await;
    let ada = server.signup("ada").await;
    let eve = server.signup("eve").await;
    let token = As::Token(text(&ada, "token").to_owned());
    let key = server.key(&token).await;
    let mine = installation.running(&key).await;
    let other = installation.running(&As::Token(text(&eve, "token").to_owned())).await;
    let team = text(&ada, "team_id");

    let byoc = format!("/v1/admin/teams/{team}/byoc");
    put(server, &byoc, &root, json!({"enabled": true})).await.ok(204);
    let listed = server.get("/v1/admin/teams", &root).await.ok(200);
    let found = find(&listed, team);
    for (field, value) in [
        ("name", json!("ada's team")),
        ("owner_email", json!("ada@example.org")),
        ("owner_id", ada["user_id"].clone()),
        ("member_count", json!(1)),
        ("running_capsules", json!(1)),
        ("is_byoc", json!(true)),
        ("deleted_at", json!(null)),
    ] {
        assert_eq!(found[field], value, "{field} of {found}");
    }
    assert!(!listed.to_string().contains(&TeamId::PLATFORM.to_string()), "{listed}");

    let listed = server.get("/v1/admin/capsules", &root).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let found = find(&listed, &mine);
    assert_eq!((&found["team_id"], &found["team_name"]), (&json!(team), &json!("ada's team")));
    assert!(found.get("preview_token").is_none(), "{found}");
    for (query, expected) in [
        (format!("team_id={team}"), vec![mine.clone()]),
        (format!("team_id={team}&status=paused"), vec![]),
        (format!("team_id={}&status=running", text(&eve, "team_id")), vec![other.clone()]),
        (format!("team_id={}", TeamId::new()), vec![]),
    ] {
        let listed = server.get(&format!("/v1/admin/capsules?{query}"), &root).await.ok(200);
        let ids: Vec<_> = listed.as_array().unwrap().iter().map(|one| text(one, "id").to_owned()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    for query in ["team_id=nonsense", "status=asleep"] {
        let answer = server.get(&format!("/v1/admin/capsules?{query}"), &root).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{query}");
    }

    let path = format!("/v1/admin/teams/{team}");
    server.delete(&path, &root).await.ok(204);
    assert_eq!(server.delete(&path, &root).await.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/capsules", &key).await.error(), (401, "unauthorized"));
    assert_eq!(server.get("/v1/capsules", &token).await.error(), (403, "no_team"));
    eventually("only the other team's capsule is left", || async {
        let listed = server.get("/v1/admin/capsules", &root).await.ok(200);
        listed.as_array().unwrap().iter().map(|one| text(one, "id")).eq([other.as_str()])
    })
    .await;
    let listed = server.get("/v1/admin/teams", &root).await.ok(200);
    assert!(find(&listed, team)["deleted_at"].is_string());
    let users = server.get("/v1/admin/users", &root).await.ok(200);
    let found = find(&users, text(&ada, "user_id"));
    assert_eq!((&found["teams_joined"], &found["teams_owned"]), (&json!(0), &json!(0)));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn settings_are_typed_and_kept(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let before = server.get("/v1/admin/settings", &root).await.ok(200);
    assert_eq!(before["quota"]["vcpus"], json!(null));
    let wanted = json!({"quota": {"vcpus": 8, "running_capsules": 0}});
    put(&server, "/v1/admin/settings", &root, wanted).await.ok(200);
    let after = server.get("/v1/admin/settings", &root).await.ok(200);
    assert_eq!((&after["quota"]["vcpus"], &after["quota"]["running_capsules"]), (&json!(8), &json!(0)));
    for (bad, word) in [
        (json!({}), "quota"),
        (json!({"quota": {"gpus": 1}}), "gpus"),
        (json!({"quota": {}, "colour": "red"}), "colour"),
        (json!({"quota": {"vcpus": -1}}), "quota.vcpus"),
        (json!({"quota": {"vcpus": "many"}}), "quota.vcpus"),
        (json!({"quota": {"vcpus": 1_000_000_000_001_u64}}), "quota.vcpus"),
    ] {
        let answer = put(&server, "/v1/admin/settings", &root, bad.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad}");
        assert!(answer.message().contains(word), "{bad}: {answer:?}");
    }
    assert_eq!(server.get("/v1/admin/settings", &root).await.ok(200), after);
}
