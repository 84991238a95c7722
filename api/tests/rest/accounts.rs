//! The user's own account: who may sign up, renaming, passwords, links, deletion.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_api::{ServerConfig, SignUpPolicy, operator};
use wrenn_base::Rng;
use wrenn_store::Store;
use wrenn_testkit::wait::eventually;

use crate::support::{As, TestServer, config, host::Installation};

const PASSWORD: &str = "correct horse";

fn sign_up(name: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "password": PASSWORD, "name": name})
}

fn with(mut body: Value, field: &str, value: &str) -> Value {
    body[field] = json!(value);
    body
}

async fn start(pool: PgPool, signup: SignUpPolicy) -> TestServer {
    let config = ServerConfig { signup: Some(signup), ..config(&pool) };
    TestServer::start_with(pool, config).await
}

/// Token of a link.
fn token_of(link: &str) -> String {
    link.split_once("?token=").unwrap().1.to_owned()
}

/// Invites an address to the team of a user; returns the token.
async fn invite(pool: &PgPool, inviter: &Value, email: &str, valid: bool) -> String {
    let token = format!("invitation of {email}");
    let insert = "INSERT INTO team_invitations (id, team_id, email, role, token_hash, invited_by, expires_at)
                  SELECT gen_random_uuid(), $1, $2, 'admin', sha256($3::text::bytea), user_id,
                      now() + CASE WHEN $4 THEN 1 ELSE -1 END * interval '1 hour'
                  FROM team_members WHERE team_id = $1";
    let team: wrenn_domain::ids::TeamId = inviter["team_id"].as_str().unwrap().parse().unwrap();
    let insert = sqlx::query(insert).bind(team.0).bind(email).bind(&token).bind(valid);
    insert.execute(pool).await.unwrap();
    token
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn many_parallel_sign_ups_with_one_address_make_one_account(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let attempts = (0..50).map(|n| {
        let email = if n % 2 == 0 { "ada@example.org" } else { "ADA@Example.org" };
        server.post("/v1/auth/signup", &As::Nobody, with(sign_up("ada"), "email", email))
    });
    let answers = futures_util::future::join_all(attempts).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert!(matches!(answer.error(), (409, "email_taken") | (429, "rate_limited")), "{answer:?}");
    }
    let counts: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM team_members)")
            .fetch_one(&server.pool)
            .await
            .unwrap();
    assert_eq!(counts, (1, 1));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn where_sign_up_is_closed_the_set_up_link_makes_the_first_administrator_and_nobody_else(pool: PgPool) {
    let former = start(pool.clone(), SignUpPolicy::Closed).await;
    let former_token = token_of(former.setup_link.as_ref().unwrap());
    drop(tokio::task::spawn_blocking(move || drop(former)).await);
    let server = start(pool.clone(), SignUpPolicy::Closed).await;
    let methods = server.get("/v1/auth/methods", &As::Nobody).await.ok(200);
    assert_eq!(methods, json!({"signup": "closed", "mail": false, "providers": []}));

    let post = |body: Value| server.post("/v1/auth/signup", &As::Nobody, body);
    let closed = post(sign_up("ada")).await;
    assert_eq!(closed.error(), (403, "forbidden"));
    assert!(closed.message().contains("administrator"), "{closed:?}");
    for wrong in [&former_token, "", "x"] {
        let refused = post(with(sign_up("ada"), "setup_token", wrong)).await;
        assert_eq!(refused.error(), (403, "forbidden"), "{wrong}");
    }
    let token = token_of(server.setup_link.as_ref().unwrap());
    let names = ["ada", "bob", "eve"];
    let attempts = names.map(|name| post(with(sign_up(name), "setup_token", &token)));
    let answers = futures_util::future::join_all(attempts).await;
    let made: Vec<_> = answers.into_iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].body["is_admin"], true);
    assert_eq!(post(with(sign_up("mal"), "setup_token", &token)).await.error(), (403, "forbidden"));
    drop(tokio::task::spawn_blocking(move || drop(server)).await);
    let next = start(pool, SignUpPolicy::Closed).await;
    assert_eq!(next.setup_link, None);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_invitation_opens_sign_up_for_its_address_once(pool: PgPool) {
    let server = start(pool.clone(), SignUpPolicy::Invite).await;
    let token = token_of(server.setup_link.as_ref().unwrap());
    let post = |body: Value| server.post("/v1/auth/signup", &As::Nobody, body);
    let ada = post(with(sign_up("ada"), "setup_token", &token)).await.ok(201);
    let invitation = invite(&pool, &ada, "Bob@example.org", true).await;
    let expired = invite(&pool, &ada, "eve@example.org", false).await;

    assert_eq!(post(sign_up("bob")).await.error(), (403, "forbidden"));
    for (name, token) in
        [("eve", &invitation), ("eve", &expired), ("bob", &"x".to_owned()), ("ada", &expired)]
    {
        let refused = post(with(sign_up(name), "invitation_token", token)).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{name}");
    }
    let bob = post(with(sign_up("bob"), "invitation_token", &invitation)).await.ok(201);
    let as_bob = As::Token(bob["token"].as_str().unwrap().to_owned());
    let teams = server.get("/v1/teams", &as_bob).await.ok(200);
    assert_eq!((teams[0]["id"].clone(), teams[0]["role"].clone()), (bob["team_id"].clone(), json!("owner")));
    assert_eq!((teams[1]["id"].clone(), teams[1]["role"].clone()), (ada["team_id"].clone(), json!("admin")));
    assert_eq!(post(with(sign_up("bob2"), "invitation_token", &invitation)).await.status, 400);
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM team_invitations").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 1, "the expired one");
    // The inviting team sees who joined.
    assert_eq!(changes(&pool, &ada["team_id"]).await, ["user.sign_up by ada", "invitation.accept by bob"]);
}

/// The entries of a team's audit log, oldest first.
async fn changes(pool: &PgPool, team: &Value) -> Vec<String> {
    let team: wrenn_domain::ids::TeamId = team.as_str().unwrap().parse().unwrap();
    let entries = "SELECT action || ' by ' || COALESCE(actor_name, 'nobody') FROM audit_logs
                   WHERE team_id = $1 AND status = 'succeeded' ORDER BY id";
    sqlx::query_scalar(entries).bind(team.0).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deleted_account_leaves_an_entry_in_each_of_its_teams(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (ada, bob) = (server.signup("ada").await, server.signup("bob").await);
    let token = |of: &Value| As::Token(of["token"].as_str().unwrap().to_owned());
    let members = format!("/v1/teams/{}/members", ada["team_id"].as_str().unwrap());
    server.post(&members, &token(&ada), json!({"email": "bob@example.org"})).await.ok(201);
    server.delete_with("/v1/me", &token(&bob), json!({"confirmation": "bob@example.org"})).await.ok(204);
    let own = changes(&pool, &bob["team_id"]).await;
    assert_eq!(own[..3], ["user.sign_up by bob", "user.delete by bob", "team.delete by bob"]);
    let joined = changes(&pool, &ada["team_id"]).await;
    assert_eq!(joined, ["user.sign_up by ada", "member.add by ada", "member.leave by bob"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_renames_themselves_and_gets_a_token_that_says_so(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let renamed = server.patch("/v1/me", &ada, json!({"name": " Ada L. "})).await.ok(200);
    assert_eq!(renamed["name"], "Ada L.");
    let me = server.get("/v1/me", &As::Token(renamed["token"].as_str().unwrap().into())).await.ok(200);
    assert_eq!((&me["name"], &me["team_id"]), (&json!("Ada L."), &renamed["team_id"]));
    assert_eq!((&me["has_password"], &me["providers"]), (&json!(true), &json!([])));
    assert_eq!((&me["is_verified"], &me["totp_enabled"]), (&json!(true), &json!(false)));
    server.get("/v1/me", &ada).await.ok(200);
    for bad in ["", " ", "a\nb", &"a".repeat(101)] {
        let refused = server.patch("/v1/me", &ada, json!({"name": bad})).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{bad:?}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_changed_password_takes_the_former_one_and_ends_every_token(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let change = |body: Value| server.post("/v1/me/password", &ada, body);
    for (body, expected) in [
        (json!({"new_password": "another horse"}), (400, "invalid_request")),
        (json!({"new_password": "short", "current_password": PASSWORD}), (400, "invalid_request")),
        (
            json!({"new_password": "another horse", "current_password": PASSWORD, "confirm_password": "x"}),
            (400, "invalid_request"),
        ),
        (json!({"new_password": "another horse", "current_password": "wrong"}), (401, "unauthorized")),
    ] {
        assert_eq!(change(body.clone()).await.error(), expected, "{body}");
    }
    change(json!({"new_password": "another horse", "current_password": PASSWORD})).await.ok(204);
    assert_eq!(server.get("/v1/me", &ada).await.error(), (401, "unauthorized"));
    server.get("/v1/me", &bob).await.ok(200);
    assert_eq!(server.login("ada", PASSWORD).await.error(), (401, "unauthorized"));
    server.login("ada", "another horse").await.ok(200);

    sqlx::query("UPDATE users SET password_hash = NULL WHERE name = 'bob'")
        .execute(&server.pool)
        .await
        .unwrap();
    assert_eq!(server.get("/v1/me", &bob).await.ok(200)["has_password"], false);
    assert_eq!(server.login("bob", PASSWORD).await.error(), (401, "unauthorized"));
    server.post("/v1/me/password", &bob, json!({"new_password": "bobs own horse"})).await.ok(204);
    server.login("bob", "bobs own horse").await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn of_parallel_changes_of_a_password_one_wins_and_guesses_are_throttled(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let changes = (0..4).map(|n| {
        let body = json!({"current_password": PASSWORD, "new_password": format!("horse number {n}")});
        server.post("/v1/me/password", &ada, body)
    });
    let answers = futures_util::future::join_all(changes).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");

    let bob = server.token("bob").await;
    for _ in 0..10 {
        let body = json!({"current_password": "guess", "new_password": "another horse"});
        assert_eq!(server.post("/v1/me/password", &bob, body).await.error(), (401, "unauthorized"));
    }
    let body = json!({"current_password": PASSWORD, "new_password": "another horse"});
    assert_eq!(server.post("/v1/me/password", &bob, body).await.error(), (429, "rate_limited"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_administrators_link_replaces_a_password_once(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let admin = server.token("root").await;
    let ada = server.signup("ada").await;
    let as_ada = As::Token(ada["token"].as_str().unwrap().into());
    let path = format!("/v1/admin/users/{}/reset-link", ada["user_id"].as_str().unwrap());
    assert_eq!(server.post(&path, &as_ada, json!({})).await.error(), (403, "forbidden"));
    let nobody = "/v1/admin/users/usr-0000000000000000000000000/reset-link";
    assert_eq!(server.post(nobody, &admin, json!({})).await.error(), (404, "not_found"));

    let first = server.post(&path, &admin, json!({})).await;
    let first = token_of(&first.text("url"));
    let made = server.post(&path, &admin, json!({})).await.ok(200);
    assert!(made["url"].as_str().unwrap().starts_with(&server.url("/reset-password?token=")), "{made}");
    let token = token_of(made["url"].as_str().unwrap());
    let confirm = |token: &str, password: &str| {
        let body = json!({"token": token, "new_password": password});
        server.post("/v1/me/password/reset/confirm", &As::Nobody, body)
    };
    assert_eq!(confirm(&first, "another horse").await.error(), (400, "invalid_request"), "it was replaced");
    assert_eq!(confirm(&token, "short").await.error(), (400, "invalid_request"));
    let attempts = (0..4).map(|_| confirm(&token, "another horse"));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");
    assert_eq!(server.get("/v1/me", &as_ada).await.error(), (401, "unauthorized"));
    server.login("ada", "another horse").await.ok(200);

    let expired = token_of(&server.post(&path, &admin, json!({})).await.text("url"));
    sqlx::query("UPDATE user_links SET expires_at = now()").execute(&pool).await.unwrap();
    assert_eq!(confirm(&expired, "another horse").await.error(), (400, "invalid_request"));
    // A link of another kind is none, and the audit log has no token.
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT audit_logs::text FROM audit_logs").fetch_all(&pool).await.unwrap();
    assert!(rows.iter().all(|row| !row.contains(&token) && !row.contains(&expired)), "{rows:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn operators_make_accounts_links_and_administrators(pool: PgPool) {
    let server = start(pool.clone(), SignUpPolicy::Closed).await;
    let (store, rng) = (Store::from_pool(pool), Rng::process());
    let url = "https://wrenn.example.org".parse().unwrap();
    let (user, link) = operator::create_user(&store, &rng, &url, "ada@example.org", "Ada").await.unwrap();
    assert!(!user.is_admin);
    let body = json!({"token": token_of(&link.url), "new_password": PASSWORD});
    server.post("/v1/me/password/reset/confirm", &As::Nobody, body).await.ok(204);
    assert_eq!(server.login("ada", PASSWORD).await.ok(200)["is_admin"], false);
    operator::grant_admin(&store, "ADA@example.org").await.unwrap();
    assert_eq!(server.login("ada", PASSWORD).await.ok(200)["is_admin"], true);
    operator::reset_password(&store, &rng, &url, "ada@example.org").await.unwrap();
    assert!(operator::grant_admin(&store, "bob@example.org").await.is_err());
    assert!(operator::create_user(&store, &rng, &url, "ada@example.org", "Ada").await.is_err());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deleted_account_leaves_nothing_and_takes_its_own_teams_along(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = server.signup("ada").await;
    let as_ada = As::Token(ada["token"].as_str().unwrap().into());
    let key = server.key(&as_ada).await;
    let capsule = installation.running(&key).await;
    let bob = server.token("bob").await;

    let delete = |who: As, confirmation: &'static str| async move {
        server.delete_with("/v1/me", &who, json!({"confirmation": confirmation})).await
    };
    assert_eq!(delete(as_ada.clone(), "ada").await.error(), (400, "invalid_request"));
    let join = "INSERT INTO team_members (team_id, user_id, role)
                SELECT t.team_id, u.id, 'member' FROM team_members t, users u
                WHERE t.user_id = (SELECT id FROM users WHERE name = 'ada') AND u.name = 'bob'";
    sqlx::query(join).execute(&pool).await.unwrap();
    let owner = delete(as_ada.clone(), "ada@example.org").await;
    assert_eq!(owner.error(), (409, "conflict"));
    assert!(owner.message().contains("ada's team"), "{owner:?}");
    server.get("/v1/me", &as_ada).await.ok(200);

    sqlx::query("DELETE FROM team_members WHERE role = 'member'").execute(&pool).await.unwrap();
    delete(as_ada.clone(), "ADA@example.org").await.ok(204);
    for who in [&as_ada, &key] {
        assert_eq!(server.get("/v1/capsules", who).await.error(), (401, "unauthorized"));
    }
    assert_eq!(server.login("ada", PASSWORD).await.error(), (401, "unauthorized"));
    server.get("/v1/me", &bob).await.ok(200);
    eventually("the capsule is gone", async || {
        let gone: bool = sqlx::query_scalar("SELECT bool_and(destroyed_at IS NOT NULL) FROM sandboxes")
            .fetch_one(&pool)
            .await
            .unwrap();
        gone
    })
    .await;
    assert!(!installation.host.crash_machine(capsule.parse().unwrap()), "it is on no host");
    // The address is free again.
    server.signup("ada").await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_only_administrator_stays_as_long_as_there_are_other_accounts(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (root, ada) = (server.token("root").await, server.token("ada").await);
    server.signup("bob").await;
    let delete = async |who: &As, name: &str| {
        server.delete_with("/v1/me", who, json!({"confirmation": format!("{name}@example.org")})).await
    };
    assert_eq!(delete(&root, "root").await.error(), (409, "conflict"));
    sqlx::query("UPDATE users SET is_admin = name <> 'bob'").execute(&pool).await.unwrap();
    let (one, other) = tokio::join!(delete(&root, "root"), delete(&ada, "ada"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{one:?} {other:?}");
    let left: Vec<bool> =
        sqlx::query_scalar("SELECT is_admin FROM users ORDER BY is_admin").fetch_all(&pool).await.unwrap();
    assert_eq!(left, [false, true]);
    // The last account may end.
    sqlx::query("DELETE FROM users WHERE NOT is_admin").execute(&pool).await.unwrap();
    let (who, name) = if one.status == 409 { (&root, "root") } else { (&ada, "ada") };
    delete(who, name).await.ok(204);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_strangers_can_reach_is_closed_unless_told_and_makes_no_stranger_an_administrator(
    pool: PgPool,
) {
    let reachable = ServerConfig { http_addr: "0.0.0.0:0".into(), ..config(&pool) };
    let server = TestServer::start_with(pool.clone(), reachable.clone()).await;
    assert!(server.setup_link.as_ref().is_some_and(|link| link.starts_with("http://localhost:")));
    let refused = server.post("/v1/auth/signup", &As::Nobody, sign_up("mal")).await;
    assert_eq!(refused.error(), (403, "forbidden"));
    drop(tokio::task::spawn_blocking(move || drop(server)).await);

    let open = ServerConfig { signup: Some(SignUpPolicy::Open), ..reachable };
    let server = TestServer::start_with(pool.clone(), open).await;
    assert_eq!(server.signup("mal").await["is_admin"], false);
    // There is an account, and still no administrator.
    let token = token_of(server.setup_link.as_ref().unwrap());
    let body = with(sign_up("root"), "setup_token", &token);
    assert_eq!(server.post("/v1/auth/signup", &As::Nobody, body).await.ok(201)["is_admin"], true);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn capsules_of_a_deleted_team_are_destroyed_by_the_next_server(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    installation.running(&key).await;
    // As if the server had ended right after the transaction.
    let end = "UPDATE teams SET deleted_at = now() WHERE name = 'ada''s team'";
    sqlx::query(end).execute(&pool).await.unwrap();
    let _installation = installation.restart_server().await;
    eventually("the capsule is gone", async || {
        let gone: bool = sqlx::query_scalar("SELECT bool_and(destroyed_at IS NOT NULL) FROM sandboxes")
            .fetch_one(&pool)
            .await
            .unwrap();
        gone
    })
    .await;
}
