//! Hosts over HTTP: who makes, sees and changes them, tags, drain, and which capsules run where.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::ids::{HostId, TeamId};
use wrenn_testkit::wait::eventually;

use crate::support::{As, TestServer, host::Installation};

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

pub(crate) fn token(signed_in: &Value) -> As {
    As::Token(text(signed_in, "token"))
}

/// Adds a host and returns its path and its registration token.
pub(crate) async fn added(server: &TestServer, who: &As, body: Value) -> (String, String) {
    let made = server.post("/v1/hosts", who, body).await.ok(201);
    assert_eq!(made["host"]["status"], "pending", "{made}");
    (format!("/v1/hosts/{}", text(&made["host"], "id")), text(&made, "registration_token"))
}

/// Makes a team with an owner and a member, who act for it.
async fn team(server: &TestServer, name: &str) -> (String, As, As) {
    let owner = server.signup(&format!("{name}-owner")).await;
    let member = server.signup(&format!("{name}-member")).await;
    let team = text(&owner, "team_id");
    let body = json!({"email": member["email"], "role": "member"});
    server.post(&format!("/v1/teams/{team}/members"), &token(&owner), body).await.ok(201);
    let switched = server.post("/v1/auth/switch-team", &token(&member), json!({"team_id": team})).await;
    (team, token(&owner), As::Token(switched.text("token")))
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn hosts_of_the_platform_are_its_administrators_and_those_of_a_team_its_own(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let (ours, owner, member) = team(&server, "ours").await;
    let (theirs, stranger, _) = team(&server, "theirs").await;

    let regular = json!({"type": "regular", "provider": "metal", "availability_zone": "eu-1"});
    for who in [&owner, &member] {
        assert_eq!(server.post("/v1/hosts", who, regular.clone()).await.error(), (403, "forbidden"));
    }
    let (platforms, _) = added(&server, &root, regular).await;
    let with_team = json!({"type": "regular", "team_id": ours});
    assert_eq!(server.post("/v1/hosts", &root, with_team).await.error(), (400, "invalid_request"));
    for bad in [json!({}), json!({"type": "other"}), json!({"type": "byoc", "team_id": "nobody"})] {
        assert_eq!(server.post("/v1/hosts", &owner, bad).await.error(), (400, "invalid_request"));
    }

    let byoc = json!({"type": "byoc"});
    assert_eq!(server.post("/v1/hosts", &owner, byoc.clone()).await.error(), (403, "forbidden"));
    server.set_byoc(&root, &ours, true).await;
    assert_eq!(server.post("/v1/hosts", &member, byoc.clone()).await.error(), (403, "forbidden"));
    let of_ours = json!({"type": "byoc", "team_id": ours});
    for who in [&stranger, &root] {
        assert_eq!(server.post("/v1/hosts", who, of_ours.clone()).await.error(), (404, "not_found"));
    }
    let (own, _) = added(&server, &owner, of_ours).await;
    let long = json!({"type": "byoc", "provider": "x".repeat(101)});
    assert_eq!(server.post("/v1/hosts", &owner, long).await.error(), (400, "invalid_request"));

    let shown = server.get(&own, &member).await.ok(200);
    assert_eq!((&shown["type"], &shown["team_id"]), (&json!("byoc"), &json!(ours)));
    assert!(shown.get("team_name").is_none(), "{shown}");
    assert_eq!(server.get(&own, &root).await.ok(200)["team_name"], "ours-owner's team");
    let listed = server.get("/v1/hosts", &root).await.ok(200);
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|host| &host["team_name"]).collect();
    assert_eq!(names, [&Value::Null, &json!("ours-owner's team")]);
    assert_eq!(server.get("/v1/hosts", &owner).await.ok(200).as_array().unwrap().len(), 1);

    let requests = |host: &str| {
        [
            ("GET", host.to_owned(), json!({})),
            ("DELETE", host.to_owned(), json!({})),
            ("POST", format!("{host}/token"), json!({})),
            ("POST", format!("{host}/drain"), json!({"enabled": true})),
            ("GET", format!("{host}/delete-preview"), json!({})),
            ("GET", format!("{host}/tags"), json!({})),
            ("POST", format!("{host}/tags"), json!({"tag": "gpu"})),
            ("DELETE", format!("{host}/tags/gpu"), json!({})),
        ]
    };
    let nobodys = format!("/v1/hosts/{}", HostId::new());
    for (host, who) in [(&platforms, &owner), (&own, &stranger), (&nobodys, &root)] {
        for (method, path, body) in requests(host) {
            let answer = server.send(server.request(method, &path, who).json(&body)).await;
            assert_eq!(answer.error(), (404, "not_found"), "{method} {path}");
        }
    }
    for (method, path, body) in requests(&own) {
        let answer = server.send(server.request(method, &path, &member).json(&body)).await;
        let is_read = method == "GET" && !path.ends_with("preview");
        assert_eq!(answer.status, if is_read { 200 } else { 403 }, "{method} {path}");
    }
    // The team may bring no more hosts; those that it has stay.
    server.set_byoc(&root, &ours, false).await;
    assert_eq!(server.post("/v1/hosts", &owner, byoc).await.error(), (403, "forbidden"));
    server.delete(&own, &owner).await.ok(204);
    assert_eq!(server.get(&own, &owner).await.error(), (404, "not_found"));
    let _ = theirs;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_brings_a_bounded_number_of_hosts(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let root = server.token("root").await;
    let ada = server.signup("ada").await;
    let team = text(&ada, "team_id");
    server.set_byoc(&root, &team, true).await;
    sqlx::query("INSERT INTO hosts (id, type, team_id) SELECT gen_random_uuid(), 'byoc', $1 FROM generate_series(1, 99)")
        .bind(team.parse::<TeamId>().unwrap().0)
        .execute(&pool)
        .await
        .unwrap();
    let (ada, body) = (token(&ada), json!({"type": "byoc"}));
    // Two at once for the last place.
    let (one, other) =
        tokio::join!(server.post("/v1/hosts", &ada, body.clone()), server.post("/v1/hosts", &ada, body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{one:?} {other:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn tags_have_a_pattern_and_a_bound(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let root = server.token("root").await;
    let (host, _) = added(&server, &root, json!({"type": "regular"})).await;
    let tags = format!("{host}/tags");
    for bad in ["", "a b", "-a", "a/b", &"a".repeat(64)] {
        let answer = server.post(&tags, &root, json!({"tag": bad})).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad:?}");
    }
    for tag in ["zone=eu", "gpu", "gpu"] {
        server.post(&tags, &root, json!({"tag": tag})).await.ok(204);
    }
    assert_eq!(server.get(&tags, &root).await.ok(200), json!(["gpu", "zone=eu"]));
    server.delete(&format!("{tags}/gpu"), &root).await.ok(204);
    assert_eq!(server.delete(&format!("{tags}/gpu"), &root).await.error(), (404, "not_found"));
    for n in 0..31 {
        server.post(&tags, &root, json!({"tag": format!("t{n}")})).await.ok(204);
    }
    assert_eq!(server.post(&tags, &root, json!({"tag": "more"})).await.error(), (409, "conflict"));
    assert_eq!(server.get(&tags, &root).await.ok(200).as_array().unwrap().len(), 32);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_drained_host_keeps_what_it_has_and_takes_nothing_new(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let root = installation.server.root().await;
    let ada = installation.server.token("ada").await;
    let host = text(&installation.server.get("/v1/hosts", &root).await.ok(200)[0], "id");
    let (host, drain) = (format!("/v1/hosts/{host}"), format!("/v1/hosts/{host}/drain"));
    let paused = installation.running(&ada).await;
    let server = &installation.server;
    server.post(&format!("/v1/capsules/{paused}/pause"), &ada, json!({})).await.ok(200);

    assert_eq!(server.post(&drain, &root, json!({"enabled": true})).await.ok(200)["status"], "draining");
    let refused = server.post("/v1/capsules", &ada, json!({})).await;
    assert_eq!(refused.error(), (503, "host_unavailable"));
    let build = json!({"name": "built", "recipe": "ENV A=1", "skip_pre_post": true});
    let build = text(&server.post("/v1/builds", &ada, build).await.ok(201), "id");
    // The host's capsule goes on, and is listed.
    server.post(&format!("/v1/capsules/{paused}/resume"), &ada, json!({})).await.ok(200);
    let preview = server.get(&format!("{host}/delete-preview"), &root).await.ok(200);
    assert_eq!(preview["sandbox_ids"], json!([paused]));
    assert_eq!(preview["capsules"][0]["status"], "running");

    // Its agent comes back to a host that is still drained, also at another server.
    installation.lose_host().await;
    eventually("it is offline", || async {
        installation.server.get(&host, &root).await.ok(200)["status"] == "offline"
    })
    .await;
    installation.host.start_agent().await.unwrap();
    assert!(installation.host.attached().await);
    let installation = installation.restart_server().await;
    let server = &installation.server;
    eventually("it is draining", || async { server.get(&host, &root).await.ok(200)["status"] == "draining" })
        .await;
    assert_eq!(server.post("/v1/capsules", &ada, json!({})).await.error(), (503, "host_unavailable"));
    assert_eq!(server.get(&format!("/v1/builds/{build}"), &ada).await.ok(200)["status"], "pending");

    assert_eq!(server.post(&drain, &root, json!({"enabled": false})).await.ok(200)["status"], "online");
    server.post("/v1/capsules?wait=true", &ada, json!({})).await.ok(201);
    eventually("the build goes on", || async {
        server.get(&format!("/v1/builds/{build}"), &ada).await.ok(200)["status"] == "success"
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_that_brings_hosts_runs_on_them_only_and_nobody_else_does(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let root = server.root().await;
    let (ada, bob) = (server.signup("ada").await, server.signup("bob").await);
    let team = text(&ada, "team_id");
    let (ada, bob) = (token(&ada), token(&bob));
    let host_of = async |who: &As| {
        let made = server.post("/v1/capsules?wait=true", who, json!({})).await.ok(201);
        (text(&made, "id"), text(&made, "host_id"))
    };
    let (before, platforms) = host_of(&ada).await;

    server.set_byoc(&root, &team, true).await;
    let refused = server.post("/v1/capsules", &ada, json!({})).await;
    assert_eq!(refused.error(), (503, "host_unavailable"));
    assert!(refused.message().contains("own hosts"), "{refused:?}");
    // The capsule on the platform's host goes on there.
    assert_eq!(server.get(&format!("/v1/capsules/{before}"), &ada).await.ok(200)["status"], "running");

    let theirs = installation.host_of(team.parse().unwrap()).await;
    let (mine, own) = host_of(&ada).await;
    assert_ne!(own, platforms);
    for _ in 0..3 {
        assert_eq!(host_of(&bob).await.1, platforms, "however empty the team's host is");
    }
    let snapshot = json!({"sandbox_id": mine, "name": "made-at-home"});
    server.post("/v1/snapshots", &ada, snapshot).await.ok(201);
    let of_snapshot = json!({"template": "made-at-home"});
    let made = server.post("/v1/capsules?wait=true", &ada, of_snapshot.clone()).await.ok(201);
    assert_eq!(text(&made, "host_id"), own);

    // A team that runs on the platform's hosts again leaves what it has, and what was made at home runs only there.
    server.set_byoc(&root, &team, false).await;
    assert_eq!(host_of(&ada).await.1, platforms);
    assert_eq!(server.get(&format!("/v1/capsules/{mine}"), &ada).await.ok(200)["status"], "running");
    let refused = server.post("/v1/capsules", &ada, of_snapshot).await;
    assert_eq!(refused.error(), (409, "invalid_state"));
    assert!(refused.message().contains("own hosts"), "{refused:?}");
    drop(theirs);
}
