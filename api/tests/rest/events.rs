//! Events: who receives which, and how requests for them fail.

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::{event::MAX_STREAMS_OF_PRINCIPAL, host::NewHost, ids::TeamId};
use wrenn_store::Store;
use wrenn_testkit::wait::{eventually, in_time};

use crate::support::{
    As, TestServer,
    events::{EventClient, Received},
    host::Installation,
};

/// Name of the first event that is sent to everybody afterwards, so that what is missing before it is missing for good.
async fn mark(server: &TestServer, name: &str) {
    let mark = "INSERT INTO outbox (event, team_id, resource_type, resource_id)
                SELECT 'template.changed', '00000000-0000-0000-0000-000000000000', 'template', $1";
    sqlx::query(mark).bind(name).execute(&server.pool).await.unwrap();
}

/// Reads up to the mark and returns what came before it.
async fn before_mark(client: &mut EventClient, name: &str) -> Vec<Received> {
    let mut received = Vec::new();
    loop {
        let event = client.next().await;
        if event.resource() == name {
            return received;
        }
        received.push(event);
    }
}

/// Type, resource and one fact of an event.
fn told<'a>(received: &'a Received, fact: &str) -> (&'a str, &'a str, &'a str) {
    let fact = received.data["facts"][fact].as_str().unwrap_or_default();
    (&received.name, received.resource(), fact)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_life_of_a_capsule_is_followed_by_its_team_and_by_administrators(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = (server.signup("ada").await, server.token("bob").await);
    let team = ada["team_id"].as_str().unwrap();
    let ada = As::Token(ada["token"].as_str().unwrap().to_owned());
    let root = server.root().await;
    let capsules = "/v1/events?types=capsule.changed,template.changed";
    let mut adas = EventClient::live(server, capsules, &ada).await;
    let mut bobs = EventClient::live(server, "/v1/events", &bob).await;
    let mut roots = EventClient::live(server, &capsules.replace("events", "admin/events"), &root).await;

    let id = installation.running(&ada).await;
    server.post(&format!("/v1/capsules/{id}/timeout"), &ada, json!({"timeout_sec": 600})).await.ok(200);
    server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "name": "kept"})).await.ok(201);
    server.delete("/v1/snapshots/kept", &ada).await.ok(204);
    server.delete(&format!("/v1/capsules/{id}"), &ada).await.ok(204);
    mark(server, "marked").await;

    let of_ada = before_mark(&mut adas, "marked").await;
    let statuses: Vec<_> = of_ada.iter().filter(|event| event.name == "capsule.changed").collect();
    let statuses: Vec<(&str, &str)> = statuses
        .into_iter()
        .map(|event| {
            let facts = &event.data["facts"];
            assert_eq!(event.resource(), id);
            (facts["status"].as_str().unwrap_or_default(), facts["operation"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        statuses,
        [
            ("starting", "starting"),
            ("running", ""),
            ("", ""),
            ("running", "snapshotting"),
            ("running", ""),
            ("running", "destroying"),
            ("stopped", "")
        ]
    );
    let timeout = of_ada.iter().find(|event| event.data["facts"]["action"] == "capsule.timeout").unwrap();
    assert_eq!(
        (&timeout.data["type"], &timeout.data["resource_type"], &timeout.data["team_id"]),
        (&json!("capsule.changed"), &json!("capsule"), &json!(team))
    );
    assert!(timeout.data["at"].is_string() && timeout.data.as_object().unwrap().len() == 6, "{timeout:?}");
    let templates: Vec<_> = of_ada.iter().filter(|event| event.name == "template.changed").collect();
    let templates: Vec<_> = templates.into_iter().map(|event| told(event, "change")).collect();
    assert_eq!(templates, [("template.changed", "kept", "created"), ("template.changed", "kept", "deleted")]);

    assert_eq!(before_mark(&mut bobs, "marked").await, [], "it is another team's");
    assert_eq!(before_mark(&mut roots, "marked").await, of_ada);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn builds_hosts_members_teams_and_accounts_are_followed(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let signed_up = server.signup("ada").await;
    let team = signed_up["team_id"].as_str().unwrap();
    let ada = As::Token(signed_up["token"].as_str().unwrap().to_owned());
    let bob = server.signup("bob").await;
    let root = server.root().await;
    let mut events = EventClient::live(server, "/v1/events", &ada).await;
    let mut admin = EventClient::live(server, "/v1/admin/events", &root).await;

    let build = json!({"name": "built", "recipe": "ENV A=1", "skip_pre_post": true});
    let build = server.post("/v1/builds", &ada, build).await.ok(201);
    let build = build["id"].as_str().unwrap();
    let mut statuses = Vec::new();
    while statuses.last() != Some(&"success".to_owned()) {
        let event = events.next().await;
        assert_ne!(event.name, "capsule.changed", "nobody works in the capsules of a build: {event:?}");
        if event.name == "build.changed" {
            assert_eq!((event.resource(), &event.data["facts"]["name"]), (build, &json!("built")));
            statuses.push(told(&event, "status").2.to_owned());
        }
    }
    assert_eq!(statuses, ["pending", "running", "success"]);

    let members = format!("/v1/teams/{team}/members");
    let body = json!({"email": bob["email"], "role": "member"});
    server.post(&members, &ada, body).await.ok(201);
    let member = format!("{members}/{}", bob["user_id"].as_str().unwrap());
    server.patch(&member, &ada, json!({"role": "admin"})).await.ok(204);
    server.delete(&member, &ada).await.ok(204);
    server.patch(&format!("/v1/teams/{team}"), &ada, json!({"name": "Renamed"})).await.ok(204);
    let store = Store::from_pool(pool);
    let new = NewHost { team_id: Some(team.parse::<TeamId>().unwrap()), ..NewHost::default() };
    server.set_byoc(&root, team, true).await;
    let host = store.host_create(&new).await.unwrap().id.to_string();
    let tags = format!("/v1/hosts/{host}/tags");
    server.post(&tags, &root, json!({"tag": "gpu"})).await.ok(204);
    server.post(&format!("/v1/hosts/{host}/drain"), &root, json!({"enabled": true})).await;
    server.delete(&format!("/v1/hosts/{host}"), &root).await;
    store.host_create(&NewHost::default()).await.unwrap();
    mark(server, "marked").await;

    let mut seen = before_mark(&mut events, "marked").await;
    seen.retain(|event| !matches!(event.name.as_str(), "template.changed" | "build.changed"));
    let bobs = bob["user_id"].as_str().unwrap();
    let mut seen: Vec<_> = seen
        .iter()
        .map(|event| match event.name.as_str() {
            "member.changed" => {
                assert_eq!(
                    event.data["facts"].as_object().unwrap().len(),
                    2,
                    "no name, no address: {event:?}"
                );
                told(event, "change")
            }
            "team.changed" => told(event, "name"),
            _ if event.data["facts"].get("action").is_some() => told(event, "action"),
            _ => told(event, "status"),
        })
        .collect();
    assert_eq!(seen.pop().map(|(name, ..)| name), Some("host.changed"), "the host is deleted");
    seen.truncate(7);
    assert_eq!(
        seen,
        [
            ("member.changed", bobs, "created"),
            ("member.changed", bobs, "changed"),
            ("member.changed", bobs, "deleted"),
            ("team.changed", team, "Renamed"),
            ("team.changed", team, "Renamed"),
            ("host.changed", host.as_str(), "pending"),
            ("host.changed", host.as_str(), "host.add_tag"),
        ]
    );

    server.token("carol").await;
    server.send(server.request("PUT", "/v1/admin/settings", &root).json(&json!({"quota": {}}))).await.ok(200);
    let user = admin.until("the account", |event| event.name == "user.changed").await;
    assert_eq!(user.data["team_id"], Value::Null);
    assert_eq!(user.data["facts"], json!({"change": "created"}));
    let settings = admin.until("the settings", |event| event.name == "settings.changed").await;
    assert_eq!(settings.data["resource_type"], "server");
    mark(server, "again").await;
    assert_eq!(before_mark(&mut events, "again").await, [], "accounts and settings are not for teams");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_key_follows_what_its_scopes_list(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let key = async |scopes: Value| {
        let key = server.post("/v1/api-keys", &ada, json!({"scopes": scopes})).await;
        As::Key(key.text("key"))
    };
    let (builds, reads) = (key(json!(["builds"])).await, key(json!(["read"])).await);
    let team = server.get("/v1/teams", &ada).await.ok(200)[0]["id"].as_str().unwrap().to_owned();
    let mut of_builds = EventClient::live(&server, "/v1/events", &builds).await;
    let mut of_all = EventClient::live(&server, "/v1/events", &reads).await;
    server.patch(&format!("/v1/teams/{team}"), &ada, json!({"name": "Renamed"})).await.ok(204);
    let insert = "INSERT INTO outbox (event, team_id, resource_type, resource_id)
                  SELECT 'build.changed', id, 'build', 'last' FROM teams WHERE name = 'Renamed'";
    sqlx::query(insert).execute(&server.pool).await.unwrap();
    assert_eq!(of_all.next().await.name, "team.changed");
    assert_eq!(told(&of_all.next().await, ""), ("build.changed", "last", ""));
    assert_eq!(told(&of_builds.next().await, ""), ("build.changed", "last", ""), "and nothing of the team");

    let refused = server.get("/v1/events?types=build.changed,member.changed", &builds).await;
    assert_eq!(refused.error(), (403, "forbidden"));
    assert!(refused.message().contains("`read`"), "{}", refused.message());
    assert_eq!(server.get("/v1/admin/events", &reads).await.error(), (401, "unauthorized"));
    assert_eq!(server.get("/v1/admin/events", &server.token("bob").await).await.error(), (403, "forbidden"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_wrong_with_a_request_for_events_is_said(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    for (query, field, says) in [
        ("types=capsules", "types", "capsule.changed, build.changed"),
        ("types=", "types", "capsule.changed"),
        ("types=user.changed", "types", "`user.changed`"),
        ("last_event_id=17", "last_event_id", "no id of an event"),
        ("last_event_id=", "last_event_id", "no id of an event"),
        ("types=a&types=b", "types", "duplicate"),
    ] {
        let refused = server.get(&format!("/v1/events?{query}"), &ada).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{query}");
        let message = refused.message();
        assert!(message.contains(field) && message.contains(says), "{query}: {message}");
    }
    let request = server.request("GET", "/v1/events", &ada).header("Last-Event-ID", "AAAA");
    let refused = server.send(request).await;
    assert_eq!(refused.error(), (400, "invalid_request"));
    assert!(refused.message().starts_with("Last-Event-ID: "), "{}", refused.message());
    assert_eq!(server.get("/v1/events", &As::Nobody).await.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn so_many_streams_can_be_open_and_one_that_ends_makes_room(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS_OF_PRINCIPAL {
        streams.push(EventClient::live(&server, "/v1/events", &ada).await);
    }
    let refused = server.get("/v1/events", &ada).await;
    assert_eq!(refused.error(), (429, "rate_limited"));
    assert!(refused.message().contains("100 streams"), "{}", refused.message());
    assert!(refused.headers.contains_key("retry-after"));
    EventClient::live(&server, "/v1/events", &bob).await;
    EventClient::live(&server, "/v1/events", &server.key(&ada).await).await;
    streams.pop();
    eventually("there is room", async || {
        let request = server.request("GET", "/v1/events", &ada);
        request.send().await.unwrap().status() == 200
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stream_ends_with_the_permission(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = server.token("ada").await;
    let key = server.post("/v1/api-keys", &ada, json!({"scopes": ["read"]})).await.ok(201);
    let key_of = |key: &Value| As::Key(key["key"].as_str().unwrap().to_owned());
    let narrower = server.post("/v1/api-keys", &ada, json!({"scopes": ["capsules", "admin"]})).await.ok(201);
    let mut of_key = EventClient::live(&server, "/v1/events", &key_of(&key)).await;
    let mut of_narrower = EventClient::live(&server, "/v1/events", &key_of(&narrower)).await;
    let mut of_user = EventClient::live(&server, "/v1/events", &ada).await;
    let ends = async |client: &mut EventClient| {
        let last = client.until("the end", |event| event.name == "error").await;
        assert_eq!(last.data["code"], "unauthorized");
        assert_eq!(in_time("nothing follows", client.read()).await, None);
    };
    server.delete(&format!("/v1/api-keys/{}", key["id"].as_str().unwrap()), &ada).await.ok(204);
    ends(&mut of_key).await;
    // A key that may see less than when the stream began follows nothing more.
    sqlx::query("UPDATE api_keys SET scopes = '{capsules}'").execute(&server.pool).await.unwrap();
    ends(&mut of_narrower).await;
    server.post("/v1/auth/logout", &ada, json!({})).await;
    ends(&mut of_user).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_that_was_away_for_too_long_is_told_to_read_its_lists_anew(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let ada = server.token("ada").await;
    let mut client = EventClient::live(&server, "/v1/events", &ada).await;
    let first = client.last_id.clone().unwrap();
    mark(&server, "old").await;
    before_mark(&mut client, "old").await;
    let read_all = client.last_id.clone().unwrap();
    mark(&server, "older than 7 days, too").await;
    before_mark(&mut client, "older than 7 days, too").await;
    let last = client.last_id.clone().unwrap();
    sqlx::query("UPDATE outbox SET created_at = now() - interval '8 days'").execute(&pool).await.unwrap();
    let week = std::time::Duration::from_secs(7 * 86_400);
    assert!(Store::from_pool(pool).outbox_retire(week, 1_000).await.unwrap() > 0);
    mark(&server, "kept").await;
    // The place of another database, whose transactions have larger numbers.
    let elsewhere = "IAAAAAAAAAAAAAAAAAAAAQ";
    for (id, is_known) in [(&*first, false), (&read_all, false), (&last, true), (elsewhere, false)] {
        let mut again = EventClient::open(&server, "/v1/events", &ada, Some(id)).await;
        if is_known {
            assert_eq!(told(&again.next().await, ""), ("template.changed", "kept", ""));
        } else {
            let reset = again.next().await;
            assert_eq!((reset.name.as_str(), reset.id.is_some()), ("reset", true), "{id}");
            assert!(reset.data["message"].as_str().unwrap().contains("7 days"));
        }
        // Other clients of the server may not have received everything yet, and this one begins with them.
        again.until("it is live", |event| event.name == "ready").await;
        let next = format!("next after {id}");
        mark(&server, &next).await;
        again.until("the next", |event| event.resource() == next).await;
    }
    // Browsers cannot set the header of a first request.
    let path = format!("/v1/events?last_event_id={last}&types=template.changed");
    let mut again = EventClient::open(&server, &path, &ada, None).await;
    assert_eq!(again.next().await.resource(), "kept");
}
