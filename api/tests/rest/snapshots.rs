//! Templates over HTTP: who sees, makes, uses and deletes which.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;
use wrenn_proto::ids::{TeamId, TemplateId};

use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_testkit::wait::eventually;

use crate::support::{As, host::Installation};

/// Writes a template that boots what every simulated host has, and returns its id.
async fn insert(pool: &PgPool, team: Uuid, name: &str, machine: Option<(i32, i32)>, disk_mb: i32) -> String {
    let id = TemplateId::new();
    let kind = if machine.is_some() { "snapshot" } else { "base" };
    sqlx::query(
        "INSERT INTO templates (id, team_id, name, type, vcpus, memory_mb, disk_size_mb, default_user,
            default_env, image)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'root', '{}', 'minimal.ext4')",
    )
    .bind(id.0)
    .bind(team)
    .bind(name)
    .bind(kind)
    .bind(machine.map(|(vcpus, _)| vcpus))
    .bind(machine.map(|(_, memory_mb)| memory_mb))
    .bind(disk_mb)
    .execute(pool)
    .await
    .unwrap();
    id.to_string()
}

/// A user's token and team.
async fn user(installation: &Installation, name: &str) -> (As, Uuid) {
    let signed_up = installation.server.signup(name).await;
    let team: TeamId = signed_up["team_id"].as_str().unwrap().parse().unwrap();
    (As::Token(signed_up["token"].as_str().unwrap().to_owned()), team.0)
}

fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Creates a capsule from a template and returns its id, once it runs.
async fn from_template(installation: &Installation, who: &As, template: &str) -> String {
    let body = json!({"template": template, "wait": true});
    let capsule = installation.server.post("/v1/capsules", who, body).await.ok(201);
    assert_eq!(capsule["template"], template);
    capsule["id"].as_str().unwrap().to_owned()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_snapshot_is_a_template_that_goes_on_where_the_capsule_was(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let key = server.key(&ada).await;
    let body = json!({"vcpus": 2, "memory_mb": 256, "disk_size_mb": 6000, "wait": true});
    let id = server.post("/v1/capsules", &key, body).await.text("id");
    installation.prints(&key, &id, "set kept memory; write kept disk").await;

    let made = server.post("/v1/snapshots", &key, json!({"sandbox_id": id, "name": "warm"})).await.ok(201);
    for (field, value) in [
        ("name", json!("warm")),
        ("type", json!("snapshot")),
        ("vcpus", json!(2)),
        ("memory_mb", json!(256)),
        ("disk_size_mb", json!(6000)),
        ("platform", json!(false)),
    ] {
        assert_eq!(made[field], value, "{field} of {made}");
    }
    assert_eq!(server.get("/v1/snapshots?type=snapshot", &ada).await.ok(200), json!([made]));
    let source = server.get(&format!("/v1/capsules/{id}"), &key).await.ok(200);
    assert_eq!((&source["status"], &source["operation"]), (&json!("running"), &json!(null)));
    installation.prints(&key, &id, "set kept changed; write kept changed").await;

    let copy = from_template(&installation, &key, "warm").await;
    assert_eq!(installation.prints(&key, &copy, "get kept; read kept").await, "memory\ndisk\n");
    let shown = server.get(&format!("/v1/capsules/{copy}"), &key).await.ok(200);
    for (field, value) in [("vcpus", 2), ("memory_mb", 256), ("disk_size_mb", 6000)] {
        assert_eq!(shown[field], value, "{field} of {shown}");
    }
    assert_eq!(shown["template_id"], made["id"]);
    for other in [json!({"vcpus": 1}), json!({"memory_mb": 512}), json!({"disk_size_mb": 5999})] {
        let mut body = other.clone();
        body["template"] = json!("warm");
        assert_eq!(
            server.post("/v1/capsules", &key, body).await.error(),
            (400, "invalid_request"),
            "{other}"
        );
    }

    server.delete("/v1/snapshots/warm", &ada).await.ok(204);
    eventually("its files are gone", || async { installation.host.world().templates().is_empty() }).await;
    assert_eq!(
        installation.prints(&key, &copy, "get kept").await,
        "memory\n",
        "what was made of it lives on"
    );
    let gone = server.post("/v1/capsules", &key, json!({"template": "warm"})).await;
    assert_eq!(gone.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_base_template_is_the_disk_alone_and_fits_any_machine(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let id = installation.running(&ada).await;
    installation.prints(&ada, &id, "set kept memory; write kept disk").await;
    let body = json!({"sandbox_id": id, "name": "flat", "type": "base"});
    let made = server.post("/v1/snapshots", &ada, body).await.ok(201);
    assert_eq!(
        (&made["type"], &made["vcpus"], &made["memory_mb"]),
        (&json!("base"), &json!(null), &json!(null))
    );
    assert!(made["disk_size_mb"].as_i64().unwrap() < 5120, "made small: {made}");

    let body = json!({"template": "flat", "vcpus": 2, "memory_mb": 1024, "wait": true});
    let copy = server.post("/v1/capsules", &ada, body).await.ok(201);
    assert_eq!(copy["disk_size_mb"], 5120, "grown to the usual size");
    let copy = copy["id"].as_str().unwrap();
    assert_eq!(installation.prints(&ada, copy, "read kept").await, "disk\n");
    assert_ne!(installation.prints(&ada, copy, "get kept").await, "memory\n");
    assert_eq!(installation.prints(&ada, &id, "get kept").await, "memory\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_is_made_up_or_given_and_is_replaced_when_one_says_so(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let id = installation.running(&ada).await;
    let make = |query: &'static str, body: Value| {
        let path = format!("/v1/snapshots{query}");
        let ada = &ada;
        async move { server.post(&path, ada, body).await }
    };
    for _ in 0..2 {
        let name = make("", json!({"sandbox_id": id})).await.ok(201)["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("snapshot-"), "{name}");
        server.delete(&format!("/v1/snapshots/{name}"), &ada).await.ok(204);
    }

    let named = json!({"sandbox_id": id, "name": "warm"});
    let first = make("?overwrite=true", named.clone()).await.ok(201);
    assert_eq!(make("", named.clone()).await.error(), (409, "template_name_taken"));
    installation.prints(&ada, &id, "set kept second").await;
    let second = make("?overwrite=true", named.clone()).await.ok(201);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(server.get("/v1/snapshots?type=snapshot", &ada).await.ok(200), json!([second]));
    let copy = from_template(&installation, &ada, "warm").await;
    assert_eq!(installation.prints(&ada, &copy, "get kept").await, "second\n");
    eventually("the first one's files are gone", || async {
        installation.host.world().templates().len() == 1
    })
    .await;

    // One that cannot be made leaves the one that it was to replace.
    installation.host.world().order_fault(SimStep::CopyInto, SimFault::Fail, 1);
    assert_eq!(make("?overwrite=true", named).await.error(), (502, "agent_error"));
    assert_eq!(server.get("/v1/snapshots?type=snapshot", &ada).await.ok(200), json!([second]));
    let source = server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    assert_eq!((&source["status"], &source["operation"]), (&json!("running"), &json!(null)));
    assert!(source["last_error"].is_string(), "{source}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_is_held_while_its_template_is_being_made(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let (one, other) = (installation.running(&ada).await, installation.running(&ada).await);
    installation.host.world().order_fault(SimStep::Flatten, SimFault::StallBefore, 1);
    let make = |id: String, query: &'static str| {
        let ada = &ada;
        let path = format!("/v1/snapshots{query}");
        async move { server.post(&path, ada, json!({"sandbox_id": id, "name": "warm", "type": "base"})).await }
    };
    let path = format!("/v1/capsules/{one}");
    let platforms = server.get("/v1/snapshots", &ada).await.ok(200)[0].clone();
    let others = async {
        eventually("it is being made", || async {
            server.get(&path, &ada).await.body["operation"] == "flattening"
        })
        .await;
        assert_eq!(server.get("/v1/snapshots?type=base", &ada).await.ok(200), json!([platforms]));
        assert_eq!(server.delete("/v1/snapshots/warm", &ada).await.error(), (404, "not_found"));
        for query in ["", "?overwrite=true"] {
            assert_eq!(make(other.clone(), query).await.error(), (409, "template_name_taken"));
        }
        let busy = make(one.clone(), "").await;
        assert_eq!(busy.error(), (409, "invalid_state"));
        assert!(busy.message().contains("`flattening`"), "{}", busy.message());
        server.delete(&path, &ada).await.ok(204);
    };
    let (made, ()) = tokio::join!(make(one.clone(), ""), others);
    assert_eq!(made.error(), (409, "invalid_state"));
    assert_eq!(make(other, "").await.ok(201)["name"], "warm", "the name is free again");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_paused_capsule_can_become_a_template_and_stays_paused(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let id = installation.running(&ada).await;
    installation.prints(&ada, &id, "set kept memory").await;
    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    let refused = server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "type": "base"})).await;
    assert_eq!(refused.error(), (409, "invalid_state"));
    assert!(refused.message().contains("resume"), "{}", refused.message());
    server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "name": "cold"})).await.ok(201);
    let shown = server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("paused"), &json!(null)));
    let copy = from_template(&installation, &ada, "cold").await;
    assert_eq!(installation.prints(&ada, &copy, "get kept").await, "memory\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_template_whose_hosts_are_away_says_so(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let (ada, _) = user(&installation, "ada").await;
    let id = installation.running(&ada).await;
    let body = json!({"sandbox_id": id, "name": "warm"});
    installation.server.post("/v1/snapshots", &ada, body).await.ok(201);
    installation.lose_host().await;
    let answer = installation.server.post("/v1/capsules", &ada, json!({"template": "warm"})).await;
    assert_eq!(answer.error(), (503, "host_unavailable"));
    assert!(answer.message().contains("`warm`"), "{}", answer.message());
    installation.server.delete("/v1/snapshots/warm", &ada).await.ok(204);
    installation.host.start_agent().await.unwrap();
    eventually("its files go when the host is back", || async {
        installation.host.world().templates().is_empty()
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_sees_its_own_templates_and_the_platforms(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, adas) = user(&installation, "ada").await;
    let (bob, bobs) = user(&installation, "bob").await;
    let id = insert(&pool, adas, "warm", Some((2, 256)), 6000).await;
    insert(&pool, adas, "disk", None, 300).await;
    insert(&pool, bobs, "bobs", None, 300).await;
    for who in [ada.clone(), server.key(&ada).await] {
        let all = server.get("/v1/snapshots", &who).await.ok(200);
        assert_eq!(names(&all), ["disk", "minimal", "warm"]);
        let warm = all.as_array().unwrap().iter().find(|one| one["name"] == "warm").unwrap();
        for (field, value) in [
            ("id", json!(id)),
            ("type", json!("snapshot")),
            ("team_id", json!(TeamId(adas).to_string())),
            ("platform", json!(false)),
            ("vcpus", json!(2)),
            ("memory_mb", json!(256)),
            ("disk_size_mb", json!(6000)),
            ("default_user", json!("root")),
        ] {
            assert_eq!(warm[field], value, "{field} of {warm}");
        }
        let minimal = all.as_array().unwrap().iter().find(|one| one["name"] == "minimal").unwrap();
        assert_eq!((&minimal["platform"], &minimal["vcpus"]), (&json!(true), &json!(null)));
        let base = server.get("/v1/snapshots?type=base", &who).await.ok(200);
        assert_eq!(names(&base), ["disk", "minimal"]);
        let snapshots = server.get("/api/v1/snapshots?type=snapshot", &who).await.ok(200);
        assert_eq!(names(&snapshots), ["warm"]);
    }
    assert_eq!(names(&server.get("/v1/snapshots", &bob).await.ok(200)), ["bobs", "minimal"]);
    let answer = server.get("/v1/snapshots?type=iso", &ada).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    assert!(answer.message().starts_with("type: "), "{}", answer.message());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_deletes_its_own_templates_and_no_others(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, adas) = user(&installation, "ada").await;
    let (bob, _) = user(&installation, "bob").await;
    let key = server.key(&ada).await;
    insert(&pool, adas, "warm", Some((1, 512)), 5120).await;
    assert_eq!(server.delete("/v1/snapshots/warm", &bob).await.error(), (404, "not_found"));

    let login = json!({"email": "root@example.org", "password": "correct horse"});
    let admin = As::Token(server.post("/v1/auth/login", &As::Nobody, login).await.text("token"));
    for who in [&ada, &key, &server.key(&admin).await] {
        let answer = server.delete("/v1/snapshots/minimal", who).await;
        assert_eq!(answer.error(), (403, "forbidden"));
    }
    assert_eq!(server.delete("/v1/snapshots/minimal", &admin).await.error(), (409, "conflict"), "an image");
    installation.running(&key).await;

    server.delete("/v1/snapshots/warm", &key).await.ok(204);
    for name in ["warm", "unknown", "Not%20a%20name", "%00"] {
        let answer = server.delete(&format!("/v1/snapshots/{name}"), &key).await;
        assert_eq!(answer.error(), (404, "not_found"), "{name}");
    }
    assert_eq!(names(&server.get("/v1/snapshots", &key).await.ok(200)), ["minimal"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_of_another_template_is_refused_before_anything_is_begun(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, adas) = user(&installation, "ada").await;
    let id = installation.running(&ada).await;
    insert(&pool, adas, "warm", Some((1, 512)), 5120).await;
    let make = |query: &'static str, name: &'static str| {
        let body = json!({"sandbox_id": id, "name": name});
        let path = format!("/v1/snapshots{query}");
        let ada = &ada;
        async move { server.post(&path, ada, body).await }
    };
    let taken = make("", "warm").await;
    assert_eq!(taken.error(), (409, "template_name_taken"));
    assert!(taken.message().contains("overwrite"), "{}", taken.message());
    assert_eq!(make("?overwrite=false", "warm").await.error(), (409, "template_name_taken"));
    for query in ["", "?overwrite=true"] {
        assert_eq!(make(query, "minimal").await.error(), (409, "name_reserved"), "{query}");
    }
    for (query, name, word) in
        [("", "Upper", "name: "), ("", "", "name: "), ("?overwrite=1", "a", "overwrite: ")]
    {
        let answer = make(query, name).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{query} {name}");
        assert!(answer.message().starts_with(word), "{}", answer.message());
    }
    for (body, word) in [
        (json!({}), "sandbox_id"),
        (json!({"sandbox_id": "nonsense"}), "sandbox_id"),
        (json!({"sandbox_id": id, "type": "iso"}), "type"),
        (json!({"sandbox_id": id, "size": 1}), "size"),
    ] {
        let answer = server.post("/v1/snapshots", &ada, body.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{body}");
        assert!(answer.message().contains(word), "{body}: {}", answer.message());
    }
    assert_eq!(server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200)["operation"], json!(null));
    assert_eq!(names(&server.get("/v1/snapshots", &ada).await.ok(200)), ["minimal", "warm"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn no_template_is_made_of_what_is_not_the_teams_or_is_gone(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, _) = user(&installation, "ada").await;
    let (bob, _) = user(&installation, "bob").await;
    let id = installation.running(&ada).await;
    let body = json!({"sandbox_id": id});
    assert_eq!(server.post("/v1/snapshots", &bob, body.clone()).await.error(), (404, "not_found"));
    server.delete(&format!("/v1/capsules/{id}"), &ada).await.ok(204);
    let gone = server.post("/v1/snapshots", &ada, body).await;
    assert_eq!(gone.error(), (409, "invalid_state"));
    assert!(gone.message().contains("destroyed"), "{}", gone.message());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_small_disk_is_grown_to_the_usual_size_and_never_made_smaller(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, adas) = user(&installation, "ada").await;
    insert(&pool, adas, "flat", None, 300).await;
    insert(&pool, adas, "large", None, 9000).await;
    for (template, given, size) in
        [("flat", None, 5120), ("flat", Some(300), 300), ("flat", Some(4000), 4000), ("large", None, 9000)]
    {
        let created = server
            .post("/v1/capsules", &ada, json!({"template": template, "disk_size_mb": given, "wait": true}))
            .await
            .ok(201);
        assert_eq!(created["disk_size_mb"], size, "{template} {given:?}");
        server.delete(&format!("/v1/capsules/{}", created["id"].as_str().unwrap()), &ada).await.ok(204);
    }
    for (template, given) in [("flat", 299), ("large", 8999)] {
        let body = json!({"template": template, "disk_size_mb": given});
        let answer = server.post("/v1/capsules", &ada, body).await;
        assert_eq!(answer.error(), (400, "invalid_request"));
        assert!(answer.message().starts_with("disk_size_mb: "), "{}", answer.message());
    }
}
