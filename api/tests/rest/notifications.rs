//! Deliveries of events to channels: at least once, in order, signed, whatever receivers and servers do.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{io::AsyncWriteExt as _, process::Command};
use wrenn_domain::{
    host::{HostCapacity, HostStatus, NewHost},
    ids::{HostId, ServerId, TeamId},
};
use wrenn_store::Store;
use wrenn_testkit::wait::{eventually, eventually_within, found};

use crate::{
    channels::{config, create, path, put_config, webhook},
    support::{
        As, TestServer,
        host::Installation,
        receiver::{ALLOWED, Received, Receiver, Reply},
    },
};

const EVERYTHING: [&str; 8] = [
    "capsule.created",
    "capsule.running",
    "capsule.paused",
    "capsule.destroyed",
    "template.snapshot.created",
    "template.snapshot.deleted",
    "host.up",
    "host.down",
];

async fn start(pool: &PgPool) -> (Installation, As) {
    let installation = Installation::start_configured(pool.clone(), config(pool)).await;
    let token = installation.server.token("ada").await;
    (installation, token)
}

async fn disabled(server: &TestServer, who: &As, channel: &Value) -> Value {
    found("the channel is switched off", async || {
        let now = server.get(&path(channel), who).await.ok(200);
        (!now["disabled_at"].is_null()).then_some(now)
    })
    .await
}

async fn destroy(server: &TestServer, who: &As, id: &str) {
    server.delete(&format!("/v1/capsules/{id}"), who).await.ok(204);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_events_of_a_life_arrive_in_order_signed_and_without_those_of_others(pool: PgPool) {
    let receiver = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let bob = server.token("bob").await;
    let channel = create(server, &ada, webhook(&receiver.url("/hook?a=b"), &EVERYTHING)).await;
    let some = Receiver::ok().await;
    create(server, &ada, webhook(&some.url("/"), &["capsule.paused"])).await;

    let body = json!({"wait": true, "metadata": {"name": "<!channel> @everyone"}});
    let capsule = server.post("/v1/capsules", &ada, body).await.ok(201);
    let id = capsule["id"].as_str().unwrap();
    let of_bob = installation.running(&bob).await;
    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    server.post(&format!("/v1/capsules/{id}/resume"), &ada, json!({})).await.ok(200);
    server.post("/v1/snapshots", &ada, json!({"sandbox_id": id, "name": "kept"})).await.ok(201);
    destroy(server, &ada, id).await;
    server.delete("/v1/snapshots/kept", &ada).await.ok(204);
    let expected =
        ["capsule.created", "capsule.running", "capsule.paused", "capsule.running", "capsule.destroyed"];
    receiver.has(id, &expected).await;
    some.has(id, &["capsule.paused"]).await;
    let template = |event: &str| {
        receiver.all().iter().any(|of| of.event() == event && of.body["data"]["name"] == "kept")
    };
    eventually("the template's events", async || {
        template("template.snapshot.created") && template("template.snapshot.deleted")
    })
    .await;
    assert_eq!(receiver.events_of(&of_bob), [""; 0]);

    let all = receiver.all();
    let first = &all[0];
    assert_eq!(first.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(first.body["team_id"], channel["team_id"]);
    assert_eq!(first.headers["x-wrenn-event"], "capsule.created");
    let data = json!({
        "capsule_id": id, "status": "starting", "template": "minimal", "metadata": {"name": "<!channel> @everyone"},
    });
    assert_eq!(first.body["data"], data);
    let ids: std::collections::BTreeSet<_> = all.iter().map(|of| of.body["id"].to_string()).collect();
    assert_eq!(ids.len(), all.len(), "each event once, as the receiver never failed");
    for received in &all {
        assert!(is_signed(received, channel["secret"].as_str().unwrap()).await, "{received:?}");
    }
    assert!(!is_signed(first, "whsec_another").await);
    let mut changed = first.clone();
    changed.text = changed.text.replace("starting", "sharting");
    assert!(!is_signed(&changed, channel["secret"].as_str().unwrap()).await);
}

/// Checks a signature with the lines of Python in the documentation.
async fn is_signed(received: &Received, secret: &str) -> bool {
    let docs = include_str!("../../../docs/notifications.md");
    let (_, rest) = docs.split_once("```python\n").expect("the documentation has Python");
    let (program, _) = rest.split_once("```").expect("the program ends");
    let call = "\nimport json, sys\nrequest = json.load(sys.stdin)\n\
                sys.exit(not verify(request['secret'], request['headers'], request['body'].encode()))\n";
    let mut python = Command::new("python3");
    let python = python.arg("-c").arg(format!("{program}{call}")).stdin(Stdio::piped()).kill_on_drop(true);
    let mut python = python.spawn().expect("python3 is there");
    let mut headers = received.headers.clone();
    let timestamp: i64 = headers["x-wrenn-timestamp"].parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - timestamp).abs() < 300, "{timestamp}");
    // As programs have them.
    for name in ["X-Wrenn-Timestamp", "X-Wrenn-Signature"] {
        let value = headers.remove(&name.to_lowercase()).unwrap();
        headers.insert(name.to_owned(), value);
    }
    let request = json!({"secret": secret, "headers": headers, "body": received.text}).to_string();
    let mut input = python.stdin.take().unwrap();
    input.write_all(request.as_bytes()).await.unwrap();
    drop(input);
    match python.wait().await.unwrap().code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("the program failed: {other:?}"),
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_receiver_that_fails_gets_everything_in_order_when_it_works(pool: PgPool) {
    // Each event fails twice, and every second one is cut off.
    let receiver = Receiver::start(ALLOWED, |number, _| match number % 3 {
        0 => Reply::Status(500),
        1 => Reply::Redirect(302, "/elsewhere".to_owned()),
        _ => Reply::Status(200),
    })
    .await;
    let steady = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let channel = create(server, &ada, webhook(&receiver.url("/"), &EVERYTHING)).await;
    create(server, &ada, webhook(&steady.url("/"), &EVERYTHING)).await;
    let id = installation.running(&ada).await;
    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    destroy(server, &ada, &id).await;
    let expected = ["capsule.created", "capsule.running", "capsule.paused", "capsule.destroyed"];
    steady.has(&id, &expected).await;
    let thrice: Vec<_> = expected.iter().flat_map(|event| [*event; 3]).collect();
    receiver.has(&id, &thrice).await;
    // Attempts of one event have its id and that of the delivery, so a receiver can tell them from another event.
    let all = receiver.all();
    for attempts in all.chunks(3) {
        assert!(attempts.iter().all(|of| of.body["id"] == attempts[0].body["id"]));
        let delivery = |of: &Received| of.headers["x-wrenn-delivery"].clone();
        assert!(attempts.iter().all(|of| delivery(of) == delivery(&attempts[0])));
    }
    eventually("a success ends the failures", async || {
        let now = server.get(&path(&channel), &ada).await.ok(200);
        now["last_error"].is_null() && now["disabled_at"].is_null()
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_receiver_that_hangs_or_floods_delays_nobody_else(pool: PgPool) {
    let hanging = Receiver::start(ALLOWED, |_, _| Reply::Hang).await;
    let flooding = Receiver::start(ALLOWED, |_, _| Reply::Flood).await;
    let steady = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let slow = create(server, &ada, webhook(&hanging.url("/"), &EVERYTHING)).await;
    create(server, &ada, webhook(&flooding.url("/"), &EVERYTHING)).await;
    create(server, &ada, webhook(&steady.url("/"), &EVERYTHING)).await;
    let mut capsules = Vec::new();
    for _ in 0..6 {
        capsules.push(installation.running(&ada).await);
    }
    for id in &capsules {
        steady.has(id, &["capsule.created", "capsule.running"]).await;
        // The status says that the event arrived.
        flooding.has(id, &["capsule.created", "capsule.running"]).await;
    }
    let all = hanging.all();
    assert!(all.len() <= 4, "a channel has four requests at once, not {}", all.len());
    assert!(all.iter().all(|of| of.event() == "capsule.created"), "the next event waits");
    eventually("the time limit ends the attempts", async || {
        let error = server.get(&path(&slow), &ada).await.ok(200)["last_error"].clone();
        error == "the receiver did not answer within 10 s"
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_receiver_that_is_gone_is_switched_off_until_the_channel_is_changed(pool: PgPool) {
    let receiver =
        Receiver::start(ALLOWED, |number, _| Reply::Status(if number == 0 { 410 } else { 200 })).await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let channel = create(server, &ada, webhook(&receiver.url("/"), &EVERYTHING)).await;
    let id = installation.running(&ada).await;
    let off = disabled(server, &ada, &channel).await;
    assert!(off["last_error"].as_str().unwrap().contains("answered 410"), "{off}");
    destroy(server, &ada, &id).await;
    // The notice to the team.
    let notices = server.get("/v1/audit-logs?action=channel.update", &ada).await.ok(200);
    let notice = &notices.as_array().unwrap()[0];
    assert_eq!((&notice["actor_type"], &notice["actor_name"]), (&json!("system"), &json!("dead_channel")));
    assert_eq!((&notice["resource_id"], &notice["metadata"]["disabled"]), (&channel["id"], &json!("true")));

    let pending = "SELECT count(*) FROM channel_deliveries WHERE status = 'pending'";
    let pending: i64 = sqlx::query_scalar(pending).fetch_one(&pool).await.unwrap();
    assert_eq!(pending, 0);
    let change = json!({"name": "again", "events": EVERYTHING});
    let on = server.send(server.request("PATCH", &path(&channel), &ada).json(&change)).await.ok(200);
    assert_eq!((&on["disabled_at"], &on["last_error"]), (&Value::Null, &Value::Null));
    let next = installation.running(&ada).await;
    receiver.has(&next, &["capsule.created", "capsule.running"]).await;
    assert_eq!(receiver.events_of(&id).len(), 1, "nothing was sent while it was off");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_receiver_that_fails_for_days_is_switched_off_and_a_new_destination_switches_it_on(pool: PgPool) {
    let dead = Receiver::start(ALLOWED, |_, _| Reply::Status(404)).await;
    let alive = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let channel = create(server, &ada, webhook(&dead.url("/"), &EVERYTHING)).await;
    let id = installation.running(&ada).await;
    eventually("an attempt failed", async || !dead.all().is_empty()).await;
    assert!(server.get(&path(&channel), &ada).await.ok(200)["disabled_at"].is_null());
    // A delivery is given up after a day, and the next one of the capsule begins.
    let old = "UPDATE channel_deliveries SET created_at = created_at - interval '25 hours', due_at = least(due_at, now())
               WHERE event = 'capsule.created'";
    sqlx::query(old).execute(&pool).await.unwrap();
    eventually("the next event is sent", async || {
        dead.events_of(&id).last().is_some_and(|event| event == "capsule.running")
    })
    .await;
    let days =
        "UPDATE channels SET failures = 30, failing_since = now() - interval '4 days' WHERE failures > 0";
    sqlx::query(days).execute(&pool).await.unwrap();
    let off = disabled(server, &ada, &channel).await;
    assert!(off["last_error"].as_str().unwrap().contains("for 3 days"), "{off}");
    let on = put_config(server, &ada, &channel, json!({"url": alive.url("/")})).await.ok(200);
    assert!(on["disabled_at"].is_null());
    destroy(server, &ada, &id).await;
    alive.has(&id, &["capsule.destroyed"]).await;
    let received = &alive.all()[0];
    assert!(is_signed(received, on["secret"].as_str().unwrap()).await);
    assert!(!is_signed(received, channel["secret"].as_str().unwrap()).await);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn two_servers_and_a_restart_deliver_each_event_at_least_once_and_in_order(pool: PgPool) {
    let receiver = Receiver::start(ALLOWED, |number, _| match number % 4 {
        0 => Reply::Status(503),
        1 if number % 8 == 1 => Reply::Hang,
        _ => Reply::Status(200),
    })
    .await;
    let (mut installation, ada) = start(&pool).await;
    let _second = TestServer::start_with(pool.clone(), config(&pool)).await;
    create(&installation.server, &ada, webhook(&receiver.url("/"), &EVERYTHING)).await;
    let mut capsules = Vec::new();
    for round in 0..2 {
        for _ in 0..3 {
            let id = installation.running(&ada).await;
            installation.server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
            capsules.push(id);
        }
        if round == 0 {
            installation = installation.restart_server().await;
            eventually("the host is back", async || {
                let health = installation.server.get("/health", &As::Nobody).await;
                health.body["hosts"]["online"] == 1
            })
            .await;
        }
    }
    let expected = ["capsule.created", "capsule.running", "capsule.paused"];
    for id in &capsules {
        eventually_within(Duration::from_secs(90), "everything arrives", async || {
            let mut events = receiver.events_of(id);
            events.dedup();
            // Attempts of one event follow each other; one that came after the next event would be seen.
            events == expected
        })
        .await;
    }
    eventually("everything is settled", async || {
        let pending = "SELECT count(*) FROM channel_deliveries WHERE status <> 'delivered'";
        sqlx::query_scalar::<_, i64>(pending).fetch_one(&pool).await.unwrap() == 0
    })
    .await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM channel_deliveries").fetch_one(&pool).await.unwrap();
    assert_eq!(count, capsules.len() as i64 * 3, "each event was turned into one delivery");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn hosts_are_up_and_down_for_their_team_and_those_of_the_platform_for_administrators(pool: PgPool) {
    let server = TestServer::start_with(pool.clone(), config(&pool)).await;
    // The first account administers the platform.
    let (root, ada) = (server.token("root").await, server.signup("ada").await);
    let team: TeamId = ada["team_id"].as_str().unwrap().parse().unwrap();
    let ada = As::Token(ada["token"].as_str().unwrap().to_owned());
    let (of_root, of_ada) = (Receiver::ok().await, Receiver::ok().await);
    create(&server, &root, webhook(&of_root.url("/"), &["host.up", "host.down"])).await;
    create(&server, &ada, webhook(&of_ada.url("/"), &["host.up", "host.down"])).await;

    let store = Store::from_pool(pool.clone());
    let mut hosts: Vec<HostId> = Vec::new();
    let elsewhere = ServerId::new();
    store.server_register(elsewhere).await.unwrap();
    for team_id in [None, Some(team)] {
        let host = store.host_create(&NewHost { team_id, ..NewHost::default() }).await.unwrap().id;
        let attachment =
            store.host_attached(host, elsewhere, HostCapacity::default()).await.unwrap().unwrap();
        // A stream that breaks for a moment is no event.
        for status in [HostStatus::Offline, HostStatus::Online, HostStatus::Offline, HostStatus::Unreachable]
        {
            assert!(store.host_set_status(attachment, status).await.unwrap());
        }
        assert!(store.host_set_status(attachment, HostStatus::Online).await.unwrap());
        hosts.push(host);
    }
    for (receiver, host) in [(&of_root, hosts[0]), (&of_ada, hosts[1])] {
        let events = async || {
            let all = receiver.all();
            assert!(all.iter().all(|of| of.body["data"]["host_id"] == host.to_string()), "{all:?}");
            all.iter().map(|of| of.event().to_owned()).collect::<Vec<_>>()
        };
        eventually("the host's events", async || events().await == ["host.up", "host.down", "host.up"]).await;
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_channels_of_a_deleted_team_end_with_it(pool: PgPool) {
    let receiver = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    let server = &installation.server;
    let team =
        create(server, &ada, webhook(&receiver.url("/"), &["capsule.destroyed"])).await["team_id"].clone();
    installation.running(&ada).await;
    server.delete(&format!("/v1/teams/{}", team.as_str().unwrap()), &ada).await.ok(204);
    eventually("the capsule is gone, and its event read", async || {
        let done = "SELECT (SELECT bool_and(destroyed_at IS NOT NULL) FROM sandboxes) AND NOT EXISTS (
                        SELECT FROM outbox, channel_cursor c
                        WHERE notification IS NOT NULL AND (outbox.xid, outbox.id) > (c.xid::text::xid8, c.id))";
        sqlx::query_scalar::<_, bool>(done).fetch_one(&pool).await.unwrap()
    })
    .await;
    let left = "SELECT (SELECT count(*) FROM channels) + (SELECT count(*) FROM channel_deliveries)";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await.unwrap(), 0);
    assert_eq!(receiver.all().len(), 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_database_that_was_restored_into_another_cluster_loses_no_event(pool: PgPool) {
    let receiver = Receiver::ok().await;
    let (installation, ada) = start(&pool).await;
    create(&installation.server, &ada, webhook(&receiver.url("/"), &EVERYTHING)).await;
    let ahead = "UPDATE channel_cursor SET xid = 1000000000000";
    sqlx::query(ahead).execute(&pool).await.unwrap();
    let id = installation.running(&ada).await;
    receiver.has(&id, &["capsule.created", "capsule.running"]).await;
}
