//! Scopes and ends of API keys.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    members::{Person, add},
    support::{As, TestServer},
};

async fn make(server: &TestServer, who: &As, scopes: Value) -> As {
    As::Key(server.post("/v1/api-keys", who, json!({"scopes": scopes})).await.text("key"))
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_key_opens_what_its_scopes_say(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Person::sign_up(&server, "ada").await;
    let made = server.post("/v1/api-keys", &ada.token, json!({"scopes": ["read"]})).await.ok(201);
    assert_eq!(
        (&made["scopes"], &made["created_by"], &made["expires_at"]),
        (&json!(["read"]), &json!(ada.id), &json!(null))
    );
    let unnamed = server.post("/v1/api-keys", &ada.token, json!({})).await.ok(201);
    assert_eq!(unnamed["scopes"], json!(["capsules", "builds"]));
    let listed = server.get("/v1/api-keys", &ada.token).await.ok(200);
    assert_eq!(listed[1]["scopes"], json!(["read"]));

    let team = format!("/v1/teams/{}", ada.team);
    let members = format!("{team}/members");
    // Opens: capsules to read, capsules to make, keys to read, keys to make, members to read and to add.
    for (scope, opens) in [
        ("read", [true, false, true, false, true, false]),
        ("capsules", [true, true, false, false, false, false]),
        ("builds", [false, false, false, false, false, false]),
        ("admin", [false, false, true, true, true, true]),
    ] {
        let key = make(&server, &ada.token, json!([scope])).await;
        for ((method, path), is_open) in [
            ("GET", "/v1/capsules"),
            ("POST", "/v1/capsules"),
            ("GET", "/v1/api-keys"),
            ("POST", "/v1/api-keys"),
            ("GET", members.as_str()),
            ("POST", members.as_str()),
        ]
        .into_iter()
        .zip(opens)
        {
            let answer = server.send(server.request(method, path, &key).body("[]")).await;
            let is_denied = answer.status == 403;
            assert_eq!(!is_denied, is_open, "{scope}: {method} {path}: {answer:?}");
        }
        for (method, path) in
            [("GET", "/v1/me"), ("DELETE", team.as_str()), ("GET", "/v1/users/search?email=ada")]
        {
            let answer = server.send(server.request(method, path, &key)).await;
            assert_eq!(answer.error(), (401, "unauthorized"), "{scope}: {method} {path}");
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn nobody_makes_a_key_that_opens_more_than_they_may(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Person::sign_up(&server, "ada").await;
    let bob = Person::sign_up(&server, "bob").await;
    add(&server, &ada, &bob, "member").await;
    let bob_in_ada = bob.acting_for(&server, &ada.team).await;
    let body = json!({"scopes": ["capsules", "admin"]});
    let answer = server.post("/v1/api-keys", &bob_in_ada, body).await;
    assert_eq!(answer.error(), (403, "forbidden"));
    let all_but_admin = json!(["read", "capsules", "builds"]);
    server.post("/v1/api-keys", &bob_in_ada, json!({"scopes": all_but_admin})).await.ok(201);

    let key = make(&server, &ada.token, json!(["read", "admin"])).await;
    for (body, expected) in [
        (json!({"scopes": ["read"]}), None),
        (json!({"scopes": ["admin", "read", "admin"]}), None),
        (json!({"scopes": ["capsules"]}), Some((403, "forbidden"))),
        // The default is more than the key has.
        (json!({}), Some((403, "forbidden"))),
        (json!({"scopes": []}), Some((400, "invalid_request"))),
        (json!({"scopes": ["everything"]}), Some((400, "invalid_request"))),
        (json!({"scopes": "read"}), Some((400, "invalid_request"))),
    ] {
        let answer = server.post("/v1/api-keys", &key, body.clone()).await;
        match expected {
            None => assert_eq!(answer.ok(201)["created_by"], json!(ada.id)),
            Some(error) => assert_eq!(answer.error(), error, "{body}"),
        }
    }

    // A role that is lost takes the scope along.
    let path = format!("/v1/teams/{}/members/{}", ada.team, bob.id);
    server.patch(&path, &ada.token, json!({"role": "admin"})).await.ok(204);
    let bobs = make(&server, &bob_in_ada, json!(["admin"])).await;
    server.get("/v1/api-keys", &bobs).await.ok(200);
    server.patch(&path, &ada.token, json!({"role": "member"})).await.ok(204);
    assert_eq!(server.get("/v1/api-keys", &bobs).await.error(), (403, "forbidden"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_key_ends_with_its_time(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    for wrong in [json!("2020-01-01T00:00:00Z"), json!("tomorrow"), json!(5)] {
        let answer = server.post("/v1/api-keys", &ada, json!({"expires_at": wrong})).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{wrong}");
        assert!(answer.message().starts_with("expires_at: "), "{answer:?}");
    }
    let later = json!("2999-01-01T00:00:00Z");
    let made = server.post("/v1/api-keys", &ada, json!({"expires_at": later, "scopes": ["admin"]})).await;
    assert_eq!(made.body["expires_at"], later);
    let (key, id) = (As::Key(made.text("key")), made.text("id"));
    // A key that is made with one that ends cannot outlive that one.
    for wanted in [json!(null), json!("3999-01-01T00:00:00Z")] {
        let body = json!({"scopes": ["admin"], "expires_at": wanted});
        assert_eq!(server.post("/v1/api-keys", &key, body).await.ok(201)["expires_at"], later);
    }
    sqlx::query("UPDATE api_keys SET expires_at = now() WHERE key_prefix = $1")
        .bind(made.text("key_prefix"))
        .execute(&server.pool)
        .await
        .unwrap();
    assert_eq!(server.get("/v1/api-keys", &key).await.error(), (401, "unauthorized"));
    server.delete(&format!("/v1/api-keys/{id}"), &ada).await.ok(204);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn keys_of_another_team_do_not_exist(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let bobs = server.post("/v1/api-keys", &bob, json!({})).await.text("id");
    let key = make(&server, &ada, json!(["admin"])).await;
    for who in [&ada, &key] {
        let answer = server.delete(&format!("/v1/api-keys/{bobs}"), who).await;
        assert_eq!(answer.error(), (404, "not_found"));
        let listed = server.get("/v1/api-keys", who).await.ok(200);
        assert!(listed.as_array().unwrap().iter().all(|listed| listed["id"] != json!(bobs)), "{listed}");
    }
}
