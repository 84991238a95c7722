//! Keys that sign tokens, over several servers.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use wrenn_api::operator;
use wrenn_base::{Clock, Rng};
use wrenn_domain::administration::FormerKeys;
use wrenn_store::Store;

use crate::support::{As, TestServer, config};

/// Id of the key that has signed a token.
fn key_of(token: &As) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let As::Token(token) = token else { unreachable!() };
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&"HS256".into(), &"JWT".into()));
    header["kid"].as_str().unwrap().to_owned()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_new_key_signs_on_every_server_and_tokens_of_the_former_one_stay_valid(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let (clock_b, hand_b) = Clock::manual();
    let a = TestServer::start_at(pool.clone(), config(&pool), clock).await;
    let b = TestServer::start_at(pool.clone(), config(&pool), clock_b).await;
    let former = a.token("ada").await;
    b.get("/v1/me", &former).await.ok(200);

    let store = Store::from_pool(pool.clone());
    let id = operator::rotate_token_key(&store, &Rng::process(), FormerKeys::Keep).await.unwrap();
    hand.advance(Duration::from_secs(31));
    let new = a.token("bob").await;
    assert_eq!(key_of(&new), id);
    assert_ne!(key_of(&former), id);
    // The other server has not looked yet, and does so for the unknown key.
    hand_b.advance(Duration::from_secs(2));
    for server in [&a, &b] {
        for token in [&former, &new] {
            server.get("/v1/me", token).await.ok(200);
        }
    }

    operator::rotate_token_key(&store, &Rng::process(), FormerKeys::End).await.unwrap();
    for (server, hand) in [(&a, &hand), (&b, &hand_b)] {
        hand.advance(Duration::from_secs(31));
        for token in [&former, &new] {
            assert_eq!(server.get("/v1/me", token).await.error(), (401, "unauthorized"));
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_administrator_rotates_the_key_over_rest(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let server = TestServer::start_at(pool.clone(), config(&pool), clock).await;
    let (root, ada) = (server.token("root").await, server.token("ada").await);
    let rotate = async |who: &As, body| server.post("/v1/admin/settings/token-key", who, body).await;
    assert_eq!(rotate(&ada, json!({})).await.error(), (403, "forbidden"));
    assert_eq!(rotate(&root, json!({"end_sessions": "yes"})).await.error(), (400, "invalid_request"));
    let id = rotate(&root, json!({})).await.text("id");
    hand.advance(Duration::from_secs(31));
    let new = server.token("bob").await;
    assert_eq!(key_of(&new), id);
    for token in [&root, &ada, &new] {
        server.get("/v1/me", token).await.ok(200);
    }
    rotate(&root, json!({"end_sessions": true})).await.ok(200);
    hand.advance(Duration::from_secs(31));
    for token in [&root, &ada, &new] {
        assert_eq!(server.get("/v1/me", token).await.error(), (401, "unauthorized"));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_token_ends_after_six_hours(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let server = TestServer::start_at(pool.clone(), config(&pool), clock).await;
    let token = server.token("ada").await;
    hand.advance(Duration::from_secs(6 * 60 * 60 - 1));
    server.get("/v1/me", &token).await.ok(200);
    hand.advance(Duration::from_secs(1));
    let ended = server.get("/v1/me", &token).await;
    assert_eq!(ended.error(), (401, "unauthorized"));
    assert!(ended.message().contains("expired"));
}
