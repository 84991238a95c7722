//! Accounts, tokens and API keys, over HTTP on a real database.

use serde_json::json;
use sqlx::PgPool;
use wrenn_api::bootstrap::{self, AdminOutcome};
use wrenn_base::Rng;
use wrenn_domain::host::NewHost;
use wrenn_store::Store;

use crate::support::{As, TestServer};

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_signup_is_an_account_a_team_and_a_token(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let signed_up = server.signup("ada").await;
    assert_eq!(signed_up["email"], "ada@example.org");
    assert_eq!(signed_up["name"], "ada");
    assert!(signed_up["user_id"].as_str().unwrap().starts_with("usr-"));
    assert!(signed_up["team_id"].as_str().unwrap().starts_with("team-"));

    let token = As::Token(signed_up["token"].as_str().unwrap().into());
    let me = server.get("/v1/me", &token).await.ok(200);
    assert_eq!((&me["email"], &me["name"]), (&json!("ada@example.org"), &json!("ada")));
    let teams = server.get("/v1/teams", &token).await.ok(200);
    assert_eq!(teams[0]["id"], signed_up["team_id"]);
    assert_eq!(teams[0]["role"], "owner");
    assert_eq!(teams[0]["name"], "ada's team");
    assert!(teams[0]["slug"].as_str().unwrap().starts_with("ada-"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn of_many_first_signups_at_once_exactly_one_is_admin(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let names: Vec<_> = (0..8).map(|n| format!("user{n}")).collect();
    let signups = names.iter().map(|name| server.signup(name));
    let answers = futures_util::future::join_all(signups).await;
    let admins = answers.iter().filter(|answer| answer["is_admin"] == true).count();
    assert_eq!(admins, 1);
    assert_eq!(server.signup("late").await["is_admin"], false);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn signing_in_ignores_case_and_tells_nothing_about_accounts(pool: PgPool) {
    let server = TestServer::start(pool).await;
    server.signup("ada").await;
    let login = |email: &str, password: &str| {
        server.post("/v1/auth/login", &As::Nobody, json!({"email": email, "password": password}))
    };
    let answer = login("ADA@Example.org", "correct horse").await.ok(200);
    assert_eq!(answer["name"], "ada");

    let wrong = login("ada@example.org", "wrong horse").await;
    let unknown = login("nobody@example.org", "correct horse").await;
    assert_eq!(wrong.error(), (401, "unauthorized"));
    assert_eq!(wrong.body, unknown.body);
    // Bytes that Postgres would refuse are no reason for a server error.
    assert_eq!(login("ada\0@example.org", "correct horse").await.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn guessing_is_slowed_down(pool: PgPool) {
    let server = TestServer::start(pool).await;
    server.signup("ada").await;
    let login = |password: &str| {
        let body = json!({"email": "ada@example.org", "password": password});
        server.post("/v1/auth/login", &As::Nobody, body)
    };
    for _ in 0..10 {
        assert_eq!(login("wrong horse").await.error(), (401, "unauthorized"));
    }
    assert_eq!(login("correct horse").await.error(), (429, "rate_limited"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_address_cannot_have_passwords_hashed_without_end(pool: PgPool) {
    let server = TestServer::start(pool).await;
    // Quick to answer, and more than the limit lets through in half a minute.
    let attempts = (0..200).map(|n| {
        let body = json!({"email": format!("{n}@example.org"), "password": "short", "name": "n"});
        server.post("/v1/auth/signup", &As::Nobody, body)
    });
    let answers = futures_util::future::join_all(attempts).await;
    let refused = answers.iter().filter(|answer| answer.error() == (429, "rate_limited")).count();
    assert!((1..200).contains(&refused), "{refused}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_account_with_the_administrators_address_gets_no_rights_without_the_password(pool: PgPool) {
    let server = TestServer::start(pool).await;
    server.signup("first").await;
    server.signup("root").await;
    let store = Store::from_pool(server.pool.clone());
    let is_admin = async || store.user_find_by_email("root@example.org").await.unwrap().unwrap().0.is_admin;
    let rng = Rng::process();
    let ensure = |password| bootstrap::ensure_admin(&store, &rng, "root@example.org", password);
    let other = ensure("another horse").await.unwrap();
    assert_eq!((other.outcome, is_admin().await), (AdminOutcome::ExistingWithOtherPassword, false));
    let same = ensure("correct horse").await.unwrap();
    assert_eq!((same.outcome, is_admin().await), (AdminOutcome::Existing, true));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn signups_that_cannot_be_are_explained(pool: PgPool) {
    let server = TestServer::start(pool).await;
    server.signup("ada").await;
    for (email, password, name, code, word) in [
        ("ada@example.org", "correct horse", "Ada", (409, "email_taken"), "exists"),
        ("ADA@EXAMPLE.ORG", "correct horse", "Ada", (409, "email_taken"), "exists"),
        ("ada", "correct horse", "Ada", (400, "invalid_request"), "email"),
        ("a\0@b", "correct horse", "Ada", (400, "invalid_request"), "email"),
        ("bob@example.org", "short", "Bob", (400, "invalid_request"), "password"),
        ("bob@example.org", "correct horse", " ", (400, "invalid_request"), "name"),
        ("bob@example.org", "correct horse", "B\0b", (400, "invalid_request"), "name"),
        ("bob@example.org", "correct horse", &"b".repeat(101), (400, "invalid_request"), "name"),
    ] {
        let body = json!({"email": email, "password": password, "name": name});
        let answer = server.post("/v1/auth/signup", &As::Nobody, body).await;
        assert_eq!(answer.error(), code, "{email:?} {password:?} {name:?}");
        assert!(answer.message().contains(word), "{answer:?}");
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&server.pool).await.unwrap();
    assert_eq!(count, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_api_key_is_shown_once_works_and_stops_working_when_deleted(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let created = server.post("/v1/api-keys", &ada, json!({"name": "ci"})).await.ok(201);
    let key = created["key"].as_str().unwrap();
    assert!(key.starts_with("wrn_") && key.len() >= 36);
    assert!(key.starts_with(created["key_prefix"].as_str().unwrap()));
    assert_eq!(created["last_used"], json!(null));

    let as_key = As::Key(key.into());
    server.get("/v1/capsules", &as_key).await.ok(200);
    let listed = server.get("/v1/api-keys", &ada).await.ok(200);
    assert_eq!((&listed[0]["name"], &listed[0]["key"]), (&json!("ci"), &json!(null)));
    let used = listed[0]["last_used"].as_str().expect("the use was noted").to_owned();
    server.get("/v1/capsules", &as_key).await.ok(200);
    let again = server.get("/v1/api-keys", &ada).await.ok(200);
    assert_eq!(again[0]["last_used"], json!(used), "noted at most once a minute");

    // Such a key opens capsules, and no keys.
    assert_eq!(server.get("/v1/api-keys", &as_key).await.error(), (403, "forbidden"));

    let path = format!("/v1/api-keys/{}", created["id"].as_str().unwrap());
    let bob = server.token("bob").await;
    assert_eq!(server.delete(&path, &bob).await.error(), (404, "not_found"));
    server.delete(&path, &ada).await.ok(204);
    assert_eq!(server.delete(&path, &ada).await.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/capsules", &as_key).await.error(), (401, "unauthorized"));
    let unnamed = server.post("/v1/api-keys", &ada, json!({})).await.ok(201);
    assert_eq!(unnamed["name"], "Unnamed API Key");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn rights_are_those_of_the_moment_not_of_the_token(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let bob = server.token("bob").await;
    let bobs_key = server.key(&bob).await;
    server.get("/v1/hosts", &ada).await.ok(200);

    sqlx::query("UPDATE users SET is_admin = false WHERE email = 'ada@example.org'")
        .execute(&server.pool)
        .await
        .unwrap();
    let fault = json!({"actor": "host", "id": "host-0000000000000000000000000"});
    let answer = server.post("/v1/admin/faults/panic", &ada, fault).await;
    assert_eq!(answer.error(), (403, "forbidden"));

    sqlx::query("DELETE FROM team_members WHERE user_id = (SELECT id FROM users WHERE name = 'ada')")
        .execute(&server.pool)
        .await
        .unwrap();
    assert_eq!(server.get("/v1/capsules", &ada).await.error(), (403, "no_team"));

    sqlx::query("UPDATE users SET is_active = false WHERE name = 'bob'").execute(&server.pool).await.unwrap();
    assert_eq!(server.get("/v1/capsules", &bob).await.error(), (403, "account_disabled"));
    assert_eq!(server.get("/v1/capsules", &bobs_key).await.error(), (403, "account_disabled"));
    let login = json!({"email": "bob@example.org", "password": "correct horse"});
    assert_eq!(server.post("/v1/auth/login", &As::Nobody, login).await.error(), (403, "account_disabled"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn signing_out_ends_every_token_of_the_user_and_nobody_elses(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let login = json!({"email": "ada@example.org", "password": "correct horse"});
    let other_device = server.post("/v1/auth/login", &As::Nobody, login.clone()).await.text("token");
    server.post("/v1/auth/logout", &ada, json!({})).await.ok(204);
    for token in [ada, As::Token(other_device)] {
        assert_eq!(server.get("/v1/me", &token).await.error(), (401, "unauthorized"));
    }
    server.get("/v1/me", &bob).await.ok(200);
    let again = As::Token(server.post("/v1/auth/login", &As::Nobody, login).await.text("token"));
    server.get("/v1/me", &again).await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_acts_for_the_team_of_the_token_and_sees_no_other_one(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (server.signup("ada").await, server.signup("bob").await);
    let token = |of: &serde_json::Value| As::Token(of["token"].as_str().unwrap().into());
    let path = |of: &serde_json::Value| format!("/v1/teams/{}", of["team_id"].as_str().unwrap());
    let shown = server.get(&path(&bob), &token(&bob)).await.ok(200);
    assert_eq!(shown["team"]["id"], bob["team_id"]);
    assert_eq!(
        (&shown["members"][0]["name"], &shown["members"][0]["role"]),
        (&json!("bob"), &json!("owner"))
    );
    assert_eq!(server.get(&path(&bob), &token(&ada)).await.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/teams/team-1", &token(&ada)).await.error(), (400, "invalid_request"));
    let as_ada = token(&ada);
    let switch =
        |team: &serde_json::Value| server.post("/v1/auth/switch-team", &as_ada, json!({ "team_id": team }));
    assert_eq!(switch(&bob["team_id"]).await.error(), (404, "not_found"));

    let join = "INSERT INTO team_members (team_id, user_id, role)
                SELECT t.team_id, u.id, 'member' FROM team_members t, users u
                WHERE t.user_id = (SELECT id FROM users WHERE name = 'bob') AND u.name = 'ada'";
    sqlx::query(join).execute(&server.pool).await.unwrap();
    sqlx::query("UPDATE users SET name = 'Ada L.' WHERE name = 'ada'").execute(&server.pool).await.unwrap();
    let switched = switch(&bob["team_id"]).await.ok(200);
    assert_eq!((&switched["team_id"], &switched["name"]), (&bob["team_id"], &json!("Ada L.")));
    assert_eq!(server.get("/v1/me", &token(&switched)).await.ok(200)["team_id"], bob["team_id"]);
    assert_eq!(server.get(&path(&bob), &token(&ada)).await.ok(200)["members"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_without_a_team_signs_in_and_can_use_no_capsule(pool: PgPool) {
    let server = TestServer::start(pool).await;
    server.signup("ada").await;
    let key = server.key(&server.token("bob").await).await;
    sqlx::query("DELETE FROM team_members").execute(&server.pool).await.unwrap();
    let login = json!({"email": "ada@example.org", "password": "correct horse"});
    let signed_in = server.post("/v1/auth/login", &As::Nobody, login).await.ok(200);
    assert_eq!(signed_in["team_id"], "");
    let ada = As::Token(signed_in["token"].as_str().unwrap().into());
    assert_eq!(server.get("/v1/me", &ada).await.ok(200)["team_id"], "");
    assert_eq!(server.get("/v1/teams", &ada).await.ok(200), json!([]));
    for path in ["/v1/capsules", "/v1/snapshots", "/v1/api-keys"] {
        assert_eq!(server.get(path, &ada).await.error(), (403, "no_team"), "{path}");
    }
    // A key ends with its maker's place in the team.
    assert_eq!(server.get("/v1/capsules", &key).await.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn administrators_see_every_host_and_members_those_of_their_team(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let bob = server.signup("bob").await;
    let store = Store::from_pool(server.pool.clone());
    let team_id = Some(bob["team_id"].as_str().unwrap().parse().unwrap());
    store.host_create(&NewHost::default()).await.unwrap();
    let own = store.host_create(&NewHost { team_id, ..NewHost::default() }).await.unwrap();

    assert_eq!(server.get("/v1/hosts", &ada).await.ok(200).as_array().unwrap().len(), 2);
    let bob = As::Token(bob["token"].as_str().unwrap().into());
    let listed = server.get("/v1/hosts", &bob).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["type"]), (&json!(own.id.to_string()), &json!("byoc")));
    assert_eq!(server.get("/v1/hosts", &server.key(&bob).await).await.error(), (403, "forbidden"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn bad_credentials_are_401_before_anything_else_is_looked_at(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let As::Token(token) = &ada else { unreachable!() };
    let forged = format!("{}x", &token[..token.len() - 1]);
    let unknown = format!("wrn_{}", "a".repeat(40));
    for who in [
        As::Nobody,
        As::Token("nonsense".into()),
        As::Token(forged),
        As::Key("nonsense".into()),
        As::Key(unknown),
        As::Key(token.clone()),
    ] {
        for (method, path) in [
            ("GET", "/v1/capsules"),
            ("POST", "/v1/capsules"),
            ("GET", "/v1/capsules/nonsense"),
            ("DELETE", "/v1/api-keys/x"),
        ] {
            let answer = server.send(server.request(method, path, &who).body("nonsense")).await;
            assert_eq!(answer.error(), (401, "unauthorized"), "{method} {path} {who:?}");
        }
    }
    let basic = server.request("GET", "/v1/me", &As::Nobody).basic_auth("ada", Some("x"));
    assert_eq!(server.send(basic).await.error(), (401, "unauthorized"));
}
