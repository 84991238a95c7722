//! Builds of teams, carried out on a simulated host.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_testkit::wait::{eventually, found};

use crate::support::{As, TestServer, host::Installation};

/// Waits until a build has ended; returns it with its log.
async fn ended(server: &TestServer, who: &As, path: &str) -> Value {
    found("the build has ended", async || {
        let build = server.get(path, who).await.ok(200);
        (build["status"] != "pending" && build["status"] != "running").then_some(build)
    })
    .await
}

/// Has a recipe built; returns the build at its end.
async fn built(server: &TestServer, who: &As, name: &str, recipe: &[&str]) -> Value {
    let body = json!({"name": name, "recipe": recipe, "skip_pre_post": true});
    let build = server.post("/v1/builds", who, body).await.ok(201);
    ended(server, who, &format!("/v1/builds/{}", build["id"].as_str().unwrap())).await
}

async fn admin(server: &TestServer) -> As {
    let body = json!({"email": "root@example.org", "password": "correct horse"});
    As::Token(server.post("/v1/auth/login", &As::Nobody, body).await.text("token"))
}

/// Makes a key with these scopes alone.
async fn key_with(server: &TestServer, who: &As, scope: &str) -> As {
    let made = server.post("/v1/api-keys", who, json!({"name": scope})).await.ok(201);
    let changed = sqlx::query("UPDATE api_keys SET scopes = ARRAY[$1] WHERE name = $1").bind(scope);
    assert_eq!(changed.execute(&server.pool).await.unwrap().rows_affected(), 1);
    As::Key(made["key"].as_str().unwrap().to_owned())
}

async fn names(server: &TestServer, who: &As) -> Vec<String> {
    let listed = server.get("/v1/snapshots", who).await.ok(200);
    listed.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn cached(build: &Value) -> Vec<bool> {
    build["logs"].as_array().unwrap().iter().map(|entry| entry["cached"].as_bool().unwrap()).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_builds_a_template_that_only_the_team_has(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, bob) = (server.signup("ada").await, server.token("bob").await);
    let team = ada["team_id"].as_str().unwrap().to_owned();
    let ada = As::Token(ada["token"].as_str().unwrap().to_owned());

    let build = built(server, &ada, "app", &["RUN echo made; warn careful; write a disk", "ENV A=1"]).await;
    assert_eq!((&build["status"], &build["error"]), (&json!("success"), &json!(null)), "{build}");
    assert_eq!(build["team_id"], team);
    let entry = &build["logs"][0];
    assert_eq!((&entry["stdout"], &entry["stderr"]), (&json!("made\n"), &json!("careful\n")));
    assert!(entry["ok"] == true && entry["exit"] == 0 && entry["phase"] == "recipe", "{entry}");

    let made = server.get("/v1/snapshots", &ada).await.ok(200)[0].clone();
    assert_eq!((&made["name"], &made["team_id"]), (&json!("app"), &json!(team)));
    assert_eq!((&made["id"], &made["platform"]), (&build["template_id"], &json!(false)));
    let capsule = server.post("/v1/capsules", &ada, json!({"template": "app", "wait": true})).await.ok(201);
    let capsule = capsule["id"].as_str().unwrap();
    assert_eq!(installation.prints(&ada, capsule, "read a; env A").await, "disk\n1\n");

    // Another build of the team begins with it, one of another team cannot.
    let body = |name: &str| json!({"name": name, "base_template": "app", "recipe": "RUN true", "skip_pre_post": true});
    let build = server.post("/v1/builds", &ada, body("next")).await.ok(201);
    let next = ended(server, &ada, &format!("/v1/builds/{}", build["id"].as_str().unwrap())).await;
    assert_eq!(next["status"], "success", "{next}");
    assert_eq!(server.post("/v1/builds", &bob, body("next")).await.error(), (404, "not_found"));
    let admin = admin(server).await;
    assert_eq!(server.post("/v1/admin/builds", &admin, body("next")).await.error(), (404, "not_found"));
    let other = server.post("/v1/capsules", &bob, json!({"template": "app"})).await;
    assert_eq!(other.error(), (404, "not_found"));
    assert_eq!(names(server, &bob).await, ["minimal"]);
    assert_eq!(server.delete("/v1/snapshots/app", &bob).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_capsule_of_a_build_is_the_teams_and_not_its_to_use(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let body = json!({"name": "app", "recipe": "RUN hang", "skip_pre_post": true});
    let build = server.post("/v1/builds", &ada, body).await.ok(201);
    let path = format!("/v1/builds/{}", build["id"].as_str().unwrap());
    let capsule = found("the build has its capsule", async || {
        let build = server.get(&path, &ada).await.ok(200);
        (build["stage"] == "steps").then(|| build["sandbox_id"].as_str().unwrap().to_owned())
    })
    .await;
    let team: Option<String> = sqlx::query_scalar(
        "SELECT slug FROM sandboxes JOIN teams ON teams.id = team_id WHERE destroyed_at IS NULL",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(team.is_some_and(|slug| slug != "platform"), "it counts as the team's");
    assert_eq!(server.get("/v1/capsules", &ada).await.ok(200), json!([]));
    let address = format!("/v1/capsules/{capsule}");
    for answer in [
        server.get(&address, &ada).await,
        server.post(&format!("{address}/exec"), &ada, json!({"cmd": "true"})).await,
        server.post(&format!("{address}/pause"), &ada, json!({})).await,
        server.post("/v1/snapshots", &ada, json!({"sandbox_id": capsule})).await,
        server.delete(&address, &ada).await,
    ] {
        assert_eq!(answer.error(), (404, "not_found"));
    }
    server.post(&format!("{path}/cancel"), &ada, json!({})).await.ok(200);
    assert_eq!(installation.host.world().running(), [], "its capsule is gone");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn builds_of_another_team_are_nowhere(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let body = json!({"name": "app", "recipe": "RUN hang", "skip_pre_post": true});
    let build = server.post("/v1/builds", &ada, body.clone()).await.ok(201);
    let id = build["id"].as_str().unwrap();
    let of_platform = server.post("/v1/admin/builds", &admin(server).await, body.clone()).await.ok(201);
    let (bobs, read) = (server.key(&bob).await, key_with(server, &bob, "read").await);
    for id in [id, of_platform["id"].as_str().unwrap()] {
        for who in [&bob, &bobs, &read] {
            for path in [format!("/v1/builds/{id}"), format!("/v1/builds/{id}/logs")] {
                assert_eq!(server.get(&path, who).await.error(), (404, "not_found"), "{path}");
            }
            assert_eq!(server.get("/v1/builds", who).await.ok(200), json!([]));
        }
        for who in [&bob, &bobs] {
            let cancelled = server.post(&format!("/v1/builds/{id}/cancel"), who, json!({})).await;
            assert_eq!(cancelled.error(), (404, "not_found"));
        }
    }
    // The name is another team's, and so no obstacle.
    server.post("/v1/builds", &bob, body.clone()).await.ok(201);
    assert_eq!(server.post("/v1/builds", &bob, body).await.error(), (409, "template_name_taken"));

    // An administrator of the platform sees and cancels the builds of all teams.
    let admin = admin(server).await;
    assert_eq!(server.get("/v1/admin/builds", &admin).await.ok(200).as_array().unwrap().len(), 3);
    let path = format!("/v1/admin/builds/{id}");
    assert_eq!(server.get(&path, &admin).await.ok(200)["team_id"], build["team_id"]);
    server.post(&format!("{path}/cancel"), &admin, json!({})).await.ok(200);
    let events = server.get(&format!("{path}/logs"), &admin).await;
    assert!(events.body.as_str().unwrap().ends_with("event: end\ndata: {}\n\n"), "{events:?}");
    assert_eq!(server.get(&format!("/v1/builds/{id}"), &ada).await.ok(200)["status"], "cancelled");
    let team: Option<bool> = sqlx::query_scalar(
        "SELECT audit_logs.team_id = template_builds.team_id FROM audit_logs, template_builds
         WHERE action = 'build.cancel_any' AND name = 'app' AND template_builds.status = 'cancelled'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(team, Some(true), "the team's log shows who cancelled its build");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn members_and_keys_with_the_scope_build(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let member = server.signup("bob").await;
    sqlx::query(
        "UPDATE team_members SET role = 'member', team_id = (SELECT team_id FROM team_members
            JOIN users ON users.id = user_id WHERE email = 'ada@example.org')
         WHERE user_id = (SELECT id FROM users WHERE email = 'bob@example.org')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let team = server.get("/v1/me", &ada).await.text("team_id");
    let former = As::Token(member["token"].as_str().unwrap().to_owned());
    let bob = server.post("/v1/auth/switch-team", &former, json!({"team_id": team})).await.text("token");
    let bob = As::Token(bob);
    let keys = ["builds", "read", "capsules", "admin"];
    let mut who = vec![("member", bob, 201, 200)];
    for scope in keys {
        let (changes, reads) = match scope {
            "builds" => (201, 200),
            "read" => (403, 200),
            _ => (403, 403),
        };
        who.push((scope, key_with(server, &ada, scope).await, changes, reads));
    }
    for (name, who, changes, reads) in &who {
        let body = json!({"name": name, "recipe": "RUN hang", "skip_pre_post": true});
        let created = server.post("/v1/builds", who, body).await;
        assert_eq!(created.status, *changes, "{name}: {created:?}");
        let own =
            server.post("/v1/builds", &ada, json!({"name": format!("{name}-2"), "recipe": "RUN hang"})).await;
        let path = format!("/v1/builds/{}", own.text("id"));
        assert_eq!(server.get("/v1/builds", who).await.status, *reads, "{name}");
        assert_eq!(server.get(&path, who).await.status, *reads, "{name}");
        let cancelled = server.post(&format!("{path}/cancel"), who, json!({})).await;
        assert_eq!(cancelled.status, if *changes == 201 { 200 } else { 403 }, "{name}: {cancelled:?}");
        if *changes != 201 {
            server.post(&format!("{path}/cancel"), &ada, json!({})).await.ok(200);
        }
        assert_eq!(server.get(&format!("{path}/logs"), who).await.status, *reads, "{name}");
        let admins = server.get("/v1/admin/builds", who).await;
        assert!(matches!(admins.status, 401 | 403), "{name}: {admins:?}");
    }
    let names = |listed: Value| {
        let builds = listed.as_array().unwrap().clone();
        builds.iter().map(|build| build["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed = names(server.get("/v1/builds", &ada).await.ok(200));
    assert!(listed.contains(&"builds".to_owned()) && !listed.contains(&"capsules".to_owned()), "{listed:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn teams_and_the_platform_share_no_step(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, bob, admin) = (server.token("ada").await, server.token("bob").await, admin(server).await);
    let recipe = ["RUN write a disk", "RUN write b disk"];
    let body = |name: &str| json!({"name": name, "recipe": recipe, "skip_pre_post": true});
    let build = server.post("/v1/admin/builds", &admin, body("platforms")).await.ok(201);
    let path = format!("/v1/admin/builds/{}", build["id"].as_str().unwrap());
    assert_eq!(cached(&ended(server, &admin, &path).await), [false, false]);
    for who in [&ada, &bob] {
        let first = built(server, who, "app", &recipe).await;
        assert_eq!(cached(&first), [false, false], "{first}");
        let second = built(server, who, "again", &recipe).await;
        assert_eq!(cached(&second), [true, true], "{second}");
        let third = built(server, who, "again", &recipe).await;
        assert_eq!(third["template_id"], second["template_id"], "nothing was to be done");
        let listed = server.get("/v1/builds", who).await.ok(200);
        assert_eq!(cached(&listed[0]), [true, true], "{listed}");
    }
    let teams: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT team_id) FROM templates WHERE purpose = 'step'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(teams, 3, "each has its own disks");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn lists_carry_the_end_of_what_was_printed(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let whole =
        built(server, &ada, "app", &["RUN echo first; flood 40000; echo; echo last; warn oh", "RUN false"])
            .await;
    assert_eq!(whole["status"], "failed");
    let listed = server.get("/v1/builds", &ada).await.ok(200)[0].clone();
    let (all, end) = (&whole["logs"][0], &listed["logs"][0]);
    let (text, kept) = (all["stdout"].as_str().unwrap(), end["stdout"].as_str().unwrap());
    assert!(text.starts_with("first\n") && text.len() > 40_000);
    assert_eq!(kept.len(), 16 * 1024);
    assert!(text.ends_with(kept));
    assert_eq!(end["stderr"], "oh\n");
    let failed = &listed["logs"][1];
    assert_eq!((&failed["exit"], &failed["ok"]), (&json!(1), &json!(false)));
    for field in ["step", "phase", "cmd", "exit", "ok", "elapsed_ms", "cached", "started_at"] {
        assert_eq!(end[field], all[field], "{field}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_of_the_platform_is_no_teams(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, admin) = (server.token("ada").await, admin(server).await);
    let body = json!({"name": "tools", "recipe": "ENV A=1", "skip_pre_post": true});
    let build = server.post("/v1/admin/builds", &admin, body.clone()).await.ok(201);
    let path = format!("/v1/admin/builds/{}", build["id"].as_str().unwrap());
    assert_eq!(ended(server, &admin, &path).await["status"], "success");
    for name in ["minimal", "tools"] {
        let refused = server.post("/v1/builds", &ada, json!({"name": name, "recipe": "ENV A=1"})).await;
        assert_eq!(refused.error(), (409, "name_reserved"));
    }
    let again = server.post("/v1/admin/builds", &admin, body).await.ok(201);
    let path = format!("/v1/admin/builds/{}", again["id"].as_str().unwrap());
    assert_eq!(ended(server, &admin, &path).await["status"], "success", "the platform replaces its own");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn builds_of_a_deleted_team_end(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, admin) = (server.token("ada").await, admin(server).await);
    let mut paths = Vec::new();
    // Two are worked on at once, and the third one waits.
    for name in ["a", "b", "c"] {
        let body = json!({"name": name, "recipe": "RUN hang", "skip_pre_post": true});
        let build = server.post("/v1/builds", &ada, body).await.ok(201);
        paths.push(format!("/v1/admin/builds/{}", build["id"].as_str().unwrap()));
    }
    eventually("two run", || async { installation.host.world().execs_running() == 2 }).await;
    sqlx::query("UPDATE teams SET deleted_at = now() WHERE id IN (SELECT team_id FROM template_builds)")
        .execute(&pool)
        .await
        .unwrap();
    for path in &paths {
        assert_eq!(ended(server, &admin, path).await["status"], "cancelled");
    }
    eventually("no capsule is left", || async { installation.host.world().running().is_empty() }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_administrator_of_the_platform_deletes_its_templates_and_no_team_does(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, admin) = (server.token("ada").await, admin(server).await);
    let body = json!({"name": "tools", "recipe": "RUN true", "skip_pre_post": true});
    let build = server.post("/v1/admin/builds", &admin, body).await.ok(201);
    let path = format!("/v1/admin/builds/{}", build["id"].as_str().unwrap());
    let template = ended(server, &admin, &path).await["template_id"].as_str().unwrap().parse().unwrap();
    let world = installation.host.world();
    assert!(world.templates().contains(&template));
    let before = world.tries(SimStep::DropTemplate);
    for who in [&ada, &server.key(&ada).await, &server.key(&admin).await] {
        for name in ["tools", "minimal"] {
            let refused = server.delete(&format!("/v1/snapshots/{name}"), who).await;
            assert_eq!(refused.error(), (403, "forbidden"), "{name}");
        }
    }
    assert_eq!(world.tries(SimStep::DropTemplate), before, "nothing was touched");
    assert_eq!(server.delete("/v1/snapshots/minimal", &admin).await.error(), (409, "conflict"));

    // A build of a team that needs it keeps it.
    let body = json!({"name": "app", "base_template": "tools", "recipe": "RUN hang", "skip_pre_post": true});
    let build = server.post("/v1/builds", &ada, body).await.ok(201);
    let id = build["id"].as_str().unwrap();
    let needed = server.delete("/v1/snapshots/tools", &admin).await;
    assert_eq!(needed.error(), (409, "conflict"));
    assert!(needed.message().contains(id), "{needed:?}");
    server.post(&format!("/v1/builds/{id}/cancel"), &ada, json!({})).await.ok(200);

    // The host fails the first time, and is told again.
    world.order_fault(SimStep::DropTemplate, SimFault::Fail, 1);
    assert_eq!(server.delete("/v1/snapshots/tools", &admin).await.status, 204);
    eventually("its files are gone", || async { !world.templates().contains(&template) }).await;
    assert!(world.tries(SimStep::DropTemplate) >= before + 2);
    assert_eq!(world.faults_left(SimStep::DropTemplate), 0);
    assert_eq!(server.delete("/v1/snapshots/tools", &admin).await.error(), (404, "not_found"));
    assert_eq!(names(server, &ada).await, ["minimal"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_of_a_team_carries_out_builds_of_that_team_alone(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let (ada, bob) = (installation.server.signup("ada").await, installation.server.token("bob").await);
    let team = ada["team_id"].as_str().unwrap();
    let root = installation.server.root().await;
    installation.server.set_byoc(&root, team, true).await;
    installation.lose_host().await;
    let own = installation.host_of(team.parse().unwrap()).await;
    let ada = As::Token(ada["token"].as_str().unwrap().to_owned());
    let server = &installation.server;

    let body = json!({"name": "app", "recipe": "RUN write a disk", "skip_pre_post": true});
    let waiting = server.post("/v1/builds", &bob, body).await.ok(201);
    let waiting = format!("/v1/builds/{}", waiting["id"].as_str().unwrap());
    for name in ["app", "again"] {
        let build = built(server, &ada, name, &["RUN write a disk"]).await;
        assert_eq!(build["status"], "success", "{build}");
    }
    assert_eq!(server.get(&waiting, &bob).await.ok(200)["status"], "pending");
    // The templates, and the disk of the step.
    assert_eq!((own.world().templates().len(), installation.host.world().templates().len()), (3, 0));
    let capsule = server.post("/v1/capsules", &ada, json!({"template": "again", "wait": true})).await.ok(201);
    assert_eq!(installation.prints(&ada, capsule["id"].as_str().unwrap(), "read a").await, "disk\n");

    installation.host.start_agent().await.unwrap();
    let server = &installation.server;
    assert_eq!(ended(server, &bob, &waiting).await["status"], "success");
    assert_eq!(installation.host.world().templates().len(), 2);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_recipe_is_checked_without_a_build(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let check = async |body: Value| server.post("/v1/builds/check", &ada, body).await;

    let right =
        check(json!({"recipe": "RUN true\nENV A=1", "healthcheck": "--interval=1s true"})).await.ok(200);
    assert_eq!(right, json!({"recipe": [], "healthcheck": null}));

    let text = "RUN true\nRNU false\nENV A";
    let wrong = check(json!({"recipe": text, "healthcheck": "--often true"})).await.ok(200);
    let faults = wrong["recipe"].as_array().unwrap();
    assert_eq!(faults.iter().map(|fault| &fault["line"]).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(faults[1]["instruction"], "ENV");
    assert!(faults[1]["message"].as_str().unwrap().contains("NAME=value"), "{wrong}");
    assert!(wrong["healthcheck"].as_str().unwrap().contains("--often"), "{wrong}");
    // The first of them is the reason for which a build is refused.
    let build = json!({"name": "app", "recipe": text});
    let refused = server.post("/v1/builds", &ada, build).await;
    assert!(refused.message().contains("line 2: "), "{}", refused.message());
    assert_eq!(server.get("/v1/builds", &ada).await.ok(200), json!([]));

    assert_eq!(check(json!({"recipe": 7})).await.error(), (400, "invalid_request"));
    let by = async |who: &As| server.post("/v1/builds/check", who, json!({"recipe": ""})).await;
    assert_eq!(by(&As::Nobody).await.error(), (401, "unauthorized"));
    assert_eq!(by(&key_with(&server, &ada, "read").await).await.error(), (403, "forbidden"));
    by(&key_with(&server, &ada, "builds").await).await.ok(200);
}
