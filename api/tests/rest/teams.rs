//! Teams: how they are made and renamed, and that nothing is left of one that is deleted.

use serde_json::json;
use sqlx::{PgPool, Row as _};
use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_domain::{host::NewHost, ids::TeamId, page::PageRequest};
use wrenn_store::Store;
use wrenn_testkit::wait::eventually;

use crate::{
    members::{Person, add},
    support::{As, TestServer, host::Installation},
};

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_makes_and_renames_teams(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Person::sign_up(&server, "ada").await;
    let team = server.post("/v1/teams", &ada.token, json!({"name": " Analytical Engines "})).await.ok(201);
    assert_eq!(
        (&team["name"], &team["role"], &team["is_byoc"]),
        (&json!("Analytical Engines"), &json!("owner"), &json!(false))
    );
    assert!(team["slug"].as_str().unwrap().starts_with("analytical-engines-"), "{team}");
    let id = team["id"].as_str().unwrap();
    let listed = server.get("/v1/teams", &ada.token).await.ok(200);
    assert_eq!((&listed[0]["id"], &listed[1]), (&json!(ada.team), &team), "the first team stays the default");
    let acting = ada.acting_for(&server, id).await;
    assert_eq!(server.get("/v1/capsules", &acting).await.ok(200), json!([]));

    let path = format!("/v1/teams/{id}");
    server.patch(&path, &ada.token, json!({"name": "Engines"})).await.ok(204);
    let shown = server.get(&path, &ada.token).await.ok(200);
    assert_eq!((&shown["team"]["name"], &shown["team"]["slug"]), (&json!("Engines"), &team["slug"]));
    for name in [json!(""), json!("  "), json!("a\nb"), json!("a".repeat(101)), json!(5), json!(null)] {
        for answer in [
            server.post("/v1/teams", &ada.token, json!({"name": name})).await,
            server.patch(&path, &ada.token, json!({"name": name})).await,
        ] {
            assert_eq!(answer.error(), (400, "invalid_request"), "{name}");
            assert!(answer.message().starts_with("name: "), "{answer:?}");
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_first_team_of_a_user_becomes_the_default_also_of_many_at_once(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Person::sign_up(&server, "ada").await;
    server.delete(&format!("/v1/teams/{}", ada.team), &ada.token).await.ok(204);
    let login = json!({"email": ada.email, "password": "correct horse"});
    let signed_in = server.post("/v1/auth/login", &As::Nobody, login.clone()).await;
    assert_eq!(signed_in.body["team_id"], "");
    let token = As::Token(signed_in.text("token"));
    let teams = (0..20).map(|_| server.post("/v1/teams", &token, json!({"name": "new"})));
    for answer in futures_util::future::join_all(teams).await {
        answer.ok(201);
    }
    let defaults: i64 = sqlx::query_scalar("SELECT count(*) FROM team_members WHERE is_default")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(defaults, 1);
    let signed_in = server.post("/v1/auth/login", &As::Nobody, login).await.ok(200);
    let listed = server.get("/v1/teams", &token).await.ok(200);
    assert_eq!(signed_in["team_id"], listed[0]["id"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_owns_a_bounded_number_of_teams(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Person::sign_up(&server, "ada").await;
    sqlx::query(
        "WITH made AS (INSERT INTO teams (id, name, slug)
            SELECT gen_random_uuid(), 'team', 'team-' || n FROM generate_series(1, 98) AS n RETURNING id)
         INSERT INTO team_members (team_id, user_id, role)
         SELECT made.id, users.id, 'owner' FROM made, users",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let teams = (0..20).map(|_| server.post("/v1/teams", &ada.token, json!({"name": "new"})));
    let answers = futures_util::future::join_all(teams).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.error(), (403, "forbidden"));
    }
}

/// Rows that live in a table and refer to a deleted team, or to a user who does not exist; by the foreign keys that the
/// database itself knows.
async fn dangling(pool: &PgPool) -> Vec<String> {
    let keys = sqlx::query(
        "SELECT conrelid::regclass::text AS referring, attname::text AS field, confrelid::regclass::text AS referred
         FROM pg_constraint
         JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
         WHERE contype = 'f' AND confrelid IN ('teams'::regclass, 'users'::regclass) ORDER BY 1, 2",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let keys: Vec<(String, String, String)> =
        keys.iter().map(|key| (key.get("referring"), key.get("field"), key.get("referred"))).collect();
    let knows =
        |referring: &str, referred: &str| keys.iter().any(|key| key.0 == referring && key.2 == referred);
    assert!(knows("sandboxes", "teams") && knows("api_keys", "users"), "{keys:?}");
    let mut found = Vec::new();
    for (referring, field, referred) in &keys {
        let is_dangling = match (referred.as_str(), referring.as_str()) {
            // Rows that have ended are kept as a record.
            ("teams", "sandboxes") => "referred.deleted_at IS NOT NULL AND destroyed_at IS NULL",
            ("teams", "template_builds") => {
                "referred.deleted_at IS NOT NULL AND status IN ('pending', 'running')"
            }
            // A machine of the team's own, with nothing of the team on it.
            ("teams", "hosts") => "false",
            ("teams", _) => "referred.deleted_at IS NOT NULL",
            _ => "referred.id IS NULL AND referring_field IS NOT NULL",
        };
        let is_dangling = is_dangling.replace("referring_field", &format!("referring.{field}"));
        let sql = format!(
            "SELECT count(*) FROM {referring} AS referring LEFT JOIN {referred} AS referred
                ON referred.id = referring.{field} WHERE {is_dangling}"
        );
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        if rows > 0 {
            found.push(format!("{rows} of {referring}.{field}"));
        }
    }
    found
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn nothing_is_left_of_a_deleted_team(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, bob) = (Person::sign_up(server, "ada").await, Person::sign_up(server, "bob").await);
    add(server, &ada, &bob, "admin").await;
    let (key, bobs_key) = (server.key(&ada.token).await, server.key(&bob.token).await);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(installation.running(&key).await);
    }
    server.post(&format!("/v1/capsules/{}/pause", ids[1]), &key, json!({})).await.ok(200);
    server.post("/v1/snapshots", &key, json!({"sandbox_id": ids[2], "name": "kept"})).await.ok(201);
    let bobs = installation.running(&bobs_key).await;
    let team = format!("/v1/teams/{}", ada.team);
    let invited = json!({"email": "new@example.org"});
    let token = server.post(&format!("{team}/invitations"), &ada.token, invited).await.text("token");
    let bob_in_ada = bob.acting_for(server, &ada.team).await;
    assert_eq!(installation.host.world().templates().len(), 1);
    sqlx::query(
        "INSERT INTO template_builds (id, name, base_template, recipe, vcpus, memory_mb, disk_size_mb, total_steps,
            team_id, not_before)
         SELECT gen_random_uuid(), 'waits', 'minimal', '[]', 1, 512, 5120, 1, team_id, now() + interval '1 day'
         FROM api_keys WHERE key_prefix = left($1, 12)",
    )
    .bind(match &key {
        As::Key(text) => text,
        _ => unreachable!(),
    })
    .execute(&pool)
    .await
    .unwrap();

    server.delete(&team, &ada.token).await.ok(204);
    // On the next request, whatever is still on the host.
    assert_eq!(server.delete(&team, &ada.token).await.error(), (404, "not_found"));
    assert_eq!(server.get(&team, &bob.token).await.error(), (404, "not_found"));
    for who in [&ada.token, &bob_in_ada] {
        assert_eq!(server.get("/v1/capsules", who).await.error(), (403, "no_team"));
    }
    assert_eq!(server.get("/v1/capsules", &key).await.error(), (401, "unauthorized"));
    assert_eq!(server.get("/v1/teams", &ada.token).await.ok(200), json!([]));
    let answer = server.post("/v1/auth/switch-team", &bob.token, json!({"team_id": ada.team})).await;
    assert_eq!(answer.error(), (404, "not_found"));
    let new = server.token("new").await;
    let answer = server.post("/v1/invitations/accept", &new, json!({"token": token})).await;
    assert_eq!(answer.error(), (404, "not_found"));

    eventually("nothing of the team is left", || async { dangling(&pool).await.is_empty() }).await;
    eventually("only the other team's capsule is on the host", || async {
        let (holdings, templates) =
            (installation.host.world().holdings(), installation.host.world().templates());
        templates.is_empty() && holdings.iter().all(|holding| holding.contains(&bobs))
    })
    .await;
    assert_eq!(server.get(&format!("/v1/capsules/{bobs}"), &bob.token).await.ok(200)["status"], "running");
    let destroyed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_logs WHERE action = 'capsule.destroy' AND actor_name = 'team_deleted'
            AND status = 'succeeded'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(destroyed, 3);
    let builds: Vec<String> =
        sqlx::query_scalar("SELECT status FROM template_builds").fetch_all(&pool).await.unwrap();
    assert_eq!(builds, ["cancelled"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deletion_is_ended_by_the_next_server_and_by_a_host_that_is_back(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let ada = Person::sign_up(&installation.server, "ada").await;
    let key = installation.server.key(&ada.token).await;
    for _ in 0..2 {
        installation.running(&key).await;
    }
    installation.lose_host().await;
    let team = format!("/v1/teams/{}", ada.team);
    installation.server.delete(&team, &ada.token).await.ok(204);
    assert_eq!(installation.host.world().running().len(), 2);
    installation = installation.restart_server().await;
    installation.host.start_agent().await.unwrap();
    eventually("nothing is on the host", || async { installation.host.world().holdings().is_empty() }).await;
    eventually("nothing of the team is left", || async { dangling(&pool).await.is_empty() }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_removal_that_a_host_could_not_carry_out_is_requested_again(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let ada = Person::sign_up(&installation.server, "ada").await;
    installation.running(&ada.token).await;
    installation.host.world().order_fault(SimStep::Kill, SimFault::Fail, 1);
    let team = format!("/v1/teams/{}", ada.team);
    installation.server.delete(&team, &ada.token).await.ok(204);
    eventually("the removal has failed", || async {
        installation.host.world().faults_left(SimStep::Kill) == 0
    })
    .await;
    eventually("nothing is on the host", || async {
        // As if the minute were over.
        sqlx::query("UPDATE sandboxes SET updated_at = now() - interval '2 minutes' WHERE operation IS NULL")
            .execute(&pool)
            .await
            .unwrap();
        installation.host.world().holdings().is_empty()
    })
    .await;
    eventually("nothing of the team is left", || async { dangling(&pool).await.is_empty() }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_added_to_a_team_while_it_is_deleted_does_not_stay(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = Person::sign_up(server, "ada").await;
    let team = format!("/v1/teams/{}", ada.team);
    let (members, invitations) = (format!("{team}/members"), format!("{team}/invitations"));
    let people =
        futures_util::future::join_all(["p1", "p2", "p3", "p4"].map(|name| Person::sign_up(server, name)))
            .await;
    let additions = people.iter().map(|person| {
        server.send(server.request("POST", &members, &ada.token).json(&json!({"email": person.email})))
    });
    let invited = (0..4).map(|n| {
        let body = json!({"email": format!("new{n}@example.org")});
        server.send(server.request("POST", &invitations, &ada.token).json(&body))
    });
    let keys = (0..4).map(|_| server.post("/v1/api-keys", &ada.token, json!({})));
    let capsules = (0..4).map(|_| server.post("/v1/capsules", &ada.token, json!({})));
    let (_, _, keys, capsules, deleted) = tokio::join!(
        futures_util::future::join_all(additions),
        futures_util::future::join_all(invited),
        futures_util::future::join_all(keys),
        futures_util::future::join_all(capsules),
        server.delete(&team, &ada.token),
    );
    deleted.ok(204);
    for answer in keys.iter().chain(&capsules) {
        assert!(matches!(answer.status, 201 | 403 | 503), "{answer:?}");
    }
    eventually("nothing of the team is left", || async { dangling(&pool).await.is_empty() }).await;
    eventually("nothing is on the host", || async { installation.host.world().holdings().is_empty() }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_deleted_team_vanishes_from_every_query(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let ada = Person::sign_up(&installation.server, "ada").await;
    let key = installation.server.key(&ada.token).await;
    let id = installation.running(&key).await;
    let body = json!({"sandbox_id": id, "name": "kept"});
    installation.server.post("/v1/snapshots", &key, body).await.ok(201);
    // The host is away, so only the queries keep the rows from sight.
    installation.lose_host().await;
    installation.server.delete(&format!("/v1/teams/{}", ada.team), &ada.token).await.ok(204);
    let store = Store::from_pool(pool.clone());
    let team: TeamId = ada.team.parse().unwrap();
    assert_eq!(store.team_find(team).await.unwrap(), None);
    assert_eq!(store.teams_of_user(ada.id.parse().unwrap()).await.unwrap(), []);
    assert_eq!(store.team_members(team).await.unwrap(), []);
    assert_eq!(store.api_keys_of_team(team, PageRequest::WHOLE).await.unwrap().items, []);
    assert_eq!(store.invitations_of_team(team).await.unwrap(), []);
    assert!(store.sandbox_preview(id.parse().unwrap(), None).await.unwrap().is_none());
    let all = store.template_list_all(PageRequest::WHOLE).await.unwrap().items;
    assert!(all.iter().all(|(template, _)| template.team_id != team), "{all:?}");
    let host = NewHost { team_id: Some(team), ..NewHost::default() };
    assert!(store.host_create(&host).await.is_err());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_shows_who_made_it(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = Person::sign_up(server, "ada").await;
    let key = server.post("/v1/api-keys", &ada.token, json!({"name": "ci"})).await;
    let by_user = installation.running(&ada.token).await;
    let by_key = installation.running(&As::Key(key.text("key"))).await;
    let path = format!("/v1/api-keys/{}", key.text("id"));
    server.delete(&path, &ada.token).await.ok(204);
    for (id, creator) in [
        (by_user, json!({"type": "user", "id": ada.id, "name": "ada"})),
        // As it was then: the key is gone.
        (by_key, json!({"type": "api_key", "id": key.body["id"], "name": "ci"})),
    ] {
        let shown = server.get(&format!("/v1/capsules/{id}"), &ada.token).await.ok(200);
        assert_eq!(shown["created_by"], creator);
    }
}
