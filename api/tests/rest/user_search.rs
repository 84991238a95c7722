//! The search for users whom a team may add.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    members::{Person, add},
    support::{As, TestServer},
};

fn emails(found: &Value) -> Vec<&str> {
    found.as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn users_are_found_by_the_beginning_of_their_address(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    for name in ["anna", "Annika", "ann_a", "anXa", "gone", "unproved"] {
        server.signup(name).await;
    }
    sqlx::query("UPDATE users SET is_active = false WHERE name = 'gone'")
        .execute(&server.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE users SET email_verified_at = NULL WHERE name = 'unproved'")
        .execute(&server.pool)
        .await
        .unwrap();
    let search = async |prefix: &str| {
        let request = server.request("GET", "/v1/users/search", &ada).query(&[("email", prefix)]);
        server.send(request).await
    };
    let found = search("ANN").await.ok(200);
    let mut found_emails = emails(&found);
    found_emails.sort_unstable();
    assert_eq!(found_emails, ["Annika@example.org", "ann_a@example.org", "anna@example.org"]);
    let fields: Vec<_> = found[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["email", "name", "user_id"]);
    // Wildcards stand for themselves.
    assert_eq!(emails(&search("ann_").await.ok(200)), ["ann_a@example.org"]);
    for prefix in ["an_", "%%%", "___", r"\\\", "gone", "unproved", "nobody"] {
        assert_eq!(search(prefix).await.ok(200), json!([]), "{prefix}");
    }
    for prefix in ["", "an", "  an  ", "an\0", &"a".repeat(300)] {
        assert_eq!(search(prefix).await.error(), (400, "invalid_request"), "{prefix:?}");
    }
    assert_eq!(server.get("/v1/users/search", &ada).await.error(), (400, "invalid_request"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_search_finds_ten_users_at_most_by_an_index(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    sqlx::query(
        "INSERT INTO users (id, email, name, email_verified_at)
         SELECT gen_random_uuid(), 'user' || n || '@example.org', 'user', now() FROM generate_series(1, 20000) AS n",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE users").execute(&server.pool).await.unwrap();
    let found = server.get("/v1/users/search?email=user", &ada).await.ok(200);
    assert_eq!(found.as_array().unwrap().len(), 10);
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT id FROM users WHERE lower(email) LIKE lower('user1234') || '%' AND is_active
            AND email_verified_at IS NOT NULL ORDER BY lower(email) USING ~<~ LIMIT 10",
    )
    .fetch_all(&server.pool)
    .await
    .unwrap();
    assert!(plan.iter().any(|line| line.contains("users_email_prefix")), "{plan:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn only_those_who_may_add_members_search_and_not_without_end(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (Person::sign_up(&server, "ada").await, Person::sign_up(&server, "bob").await);
    add(&server, &ada, &bob, "member").await;
    let bob_in_ada = bob.acting_for(&server, &ada.team).await;
    let path = "/v1/users/search?email=ada";
    assert_eq!(server.get(path, &As::Nobody).await.error(), (401, "unauthorized"));
    assert_eq!(server.get(path, &bob_in_ada).await.error(), (403, "forbidden"));
    server.get(path, &bob.token).await.ok(200);
    let answers = futures_util::future::join_all((0..60).map(|_| server.get(path, &ada.token))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!((1..=30).contains(&refused.len()), "{}", refused.len());
    for answer in refused {
        assert_eq!(answer.error(), (429, "rate_limited"));
        assert!(answer.headers.contains_key("retry-after"));
    }
    server.get(path, &bob.token).await.ok(200);
}
