//! Many streams of events at once: a slow client, clients that come back, servers that end.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use wrenn_testkit::wait::{eventually, in_time, in_time_within};

use crate::support::{As, TestServer, config, events::EventClient, host::Installation};

/// Time limit for many clients on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
/// Clients of the test of many.
const CLIENTS: usize = 200;
/// Events that each of them receives.
const EVENTS: usize = 60;
/// Large events, more than the buffers between server and client hold.
const LARGE_EVENTS: i32 = 900;

/// Writes events of the only user's team.
async fn write(pool: &PgPool, kind: &str, from: usize, count: usize) {
    let insert = "INSERT INTO outbox (event, team_id, resource_type, resource_id)
                  SELECT $1, (SELECT team_id FROM team_members m JOIN users u ON u.id = m.user_id WHERE u.name = 'ada'),
                      'build', number::text
                  FROM generate_series($2::integer, $3::integer) AS number";
    let (first, last) = (i32::try_from(from).unwrap(), i32::try_from(from + count).unwrap() - 1);
    sqlx::query(insert).bind(kind).bind(first).bind(last).execute(pool).await.unwrap();
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// A client that reads no more than `ready` before it is told to.
async fn slow_client(server: &TestServer, token: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut connection = socket.connect(server.addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let until_ready = async {
        while !text.contains("event: ready\n") {
            text.push(char::from(connection.read_u8().await.unwrap()));
        }
    };
    in_time("the stream is ready", until_ready).await;
    connection
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn two_hundred_clients_receive_everything_while_a_slow_one_is_dropped(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let signed_up = server.signup("ada").await;
    let token = signed_up["token"].as_str().unwrap();
    let ada = As::Token(token.to_owned());
    let mut credentials = Vec::new();
    for _ in 0..4 {
        let key = server.post("/v1/api-keys", &ada, json!({"scopes": ["read"]})).await;
        credentials.push(As::Key(key.text("key")));
    }
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let who = &credentials[number % credentials.len()];
        clients.push(EventClient::live(&server, "/v1/events?types=build.changed", who).await);
    }
    let mut slow = slow_client(&server, token, "/v1/events?types=template.changed").await;
    let mut witness = EventClient::live(&server, "/v1/events?types=template.changed", &ada).await;

    write(&pool, "build.changed", 0, EVENTS / 2).await;
    // In parts, each of which the witness takes before the next: what it can take, the slow one could, too.
    let team = signed_up["team_id"].as_str().unwrap();
    let large = "INSERT INTO outbox (event, team_id, resource_type, resource_id)
                 SELECT 'template.changed', (SELECT id FROM teams WHERE slug LIKE 'ada%' LIMIT 1), 'template',
                     number || repeat('x', 16000)
                 FROM generate_series($1::integer, $2::integer) AS number";
    let mut last_of_witness = String::new();
    for part in 0..LARGE_EVENTS / 100 {
        sqlx::query(large).bind(part * 100).bind(part * 100 + 99).execute(&pool).await.unwrap();
        for number in part * 100..part * 100 + 100 {
            let event = witness.next().await;
            assert_eq!(event.data["team_id"], team);
            assert_eq!(event.resource().trim_end_matches('x'), number.to_string());
            last_of_witness = event.id.unwrap();
        }
    }
    write(&pool, "build.changed", EVENTS / 2, EVENTS - EVENTS / 2).await;

    // The slow one reads again: what was on its way, then the reason, then the end.
    let mut rest = Vec::new();
    in_time_within(WITHIN, "the end of the slow client's stream", slow.read_to_end(&mut rest)).await.unwrap();
    let rest = String::from_utf8(rest).unwrap();
    let (received, reason) = rest.split_once("event: dropped\n").expect("it is told that it was dropped");
    assert!(reason.contains("slow_client") && reason.contains("reconnect with the last id"), "{reason}");
    let last_id = received.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let count = received.matches("event: template.changed\n").count();
    assert!(count < LARGE_EVENTS as usize, "{count}");
    assert_ne!(last_id, last_of_witness);

    let mut ends = JoinSet::new();
    for mut client in clients {
        ends.spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < EVENTS {
                seen.push(client.next().await.resource().to_owned());
            }
            seen
        });
    }
    let all = in_time_within(WITHIN, "every client has everything", ends.join_all()).await;
    assert!(all.len() == CLIENTS && all.iter().all(|seen| *seen == numbers(EVENTS)));

    // The client comes back, and misses nothing.
    let path = "/v1/events?types=template.changed";
    let mut again = EventClient::open(&server, path, &ada, Some(last_id)).await;
    for number in count..LARGE_EVENTS as usize {
        let event = again.next().await;
        assert_eq!(event.resource().trim_end_matches('x'), number.to_string());
    }
    assert_eq!(again.next().await.name, "ready");
    let gone = "SELECT count(*) FROM outbox WHERE event = 'template.changed'";
    let written: i64 = sqlx::query_scalar(gone).fetch_one(&pool).await.unwrap();
    assert_eq!(written, i64::from(LARGE_EVENTS));
}

/// Follows builds, at whichever server is announced, and comes back after every few events, until all are seen.
async fn come_back(
    http: reqwest::Client,
    mut servers: watch::Receiver<Vec<String>>,
    key: String,
    number: usize,
    all: usize,
    begin: String,
) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let mut last_id = Some(begin);
    let mut turn = number;
    while seen.len() < all {
        turn += 1;
        let urls = servers.borrow_and_update().clone();
        let url = format!("{}/v1/events?types=build.changed", urls[turn % urls.len()]);
        let request = http.get(url).header("X-API-Key", &key);
        let Some(mut client) = EventClient::send(request, last_id.as_deref()).await else {
            // The server is gone: others may be announced, or it was the turn of one that ended just now.
            let _ = tokio::time::timeout(Duration::from_millis(50), servers.changed()).await;
            continue;
        };
        let mut left = 3 + (turn * 7 + number) % 20;
        while left > 0 && seen.len() < all {
            let Some(event) = client.read().await else { break };
            if event.name == "build.changed" {
                seen.push(event.resource().to_owned());
                left -= 1;
            }
        }
        last_id = client.last_id;
    }
    seen
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn clients_that_come_back_miss_and_repeat_nothing_across_servers_that_end(pool: PgPool) {
    const RETURNING: usize = 20;
    const ALL: usize = 600;
    let mut servers = vec![TestServer::start(pool.clone()).await, TestServer::start(pool.clone()).await];
    let ada = servers[0].token("ada").await;
    let key = servers[0].post("/v1/api-keys", &ada, json!({"scopes": ["read"]})).await.text("key");
    let urls = |servers: &[TestServer]| servers.iter().map(|server| server.url("")).collect::<Vec<_>>();
    let (announce, announced) = watch::channel(urls(&servers));
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(crate::support::tls::no_roots())
        .build()
        .unwrap();
    // All of them begin before the first event.
    let begin = EventClient::live(&servers[0], "/v1/events", &ada).await.last_id.unwrap();
    let mut clients = JoinSet::new();
    for number in 0..RETURNING {
        let (http, announced, key) = (http.clone(), announced.clone(), key.clone());
        clients.spawn(come_back(http, announced, key, number, ALL, begin.clone()));
    }
    for round in 0..6 {
        let from = round * ALL / 6;
        for part in 0..10 {
            write(&pool, "build.changed", from + part * ALL / 60, ALL / 60).await;
            sleep(Duration::from_millis(20)).await;
        }
        // A server ends while the other one serves, and a third one starts.
        let ended = servers.remove(0);
        announce.send_replace(urls(&servers));
        tokio::task::spawn_blocking(move || drop(ended)).await.unwrap();
        servers.push(TestServer::start_with(pool.clone(), config(&pool)).await);
        announce.send_replace(urls(&servers));
    }
    let all = in_time_within(WITHIN, "every client has everything", clients.join_all()).await;
    assert_eq!(all.len(), RETURNING);
    for seen in all {
        assert_eq!(seen, numbers(ALL));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_capsules_do_while_the_server_is_replaced_is_received_once(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let path = "/v1/events?types=capsule.changed";
    let mut client = EventClient::live(&installation.server, path, &key).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let id = installation.running(&key).await;
        let capsule = format!("/v1/capsules/{id}");
        installation.server.post(&format!("{capsule}/pause"), &key, json!({})).await.ok(200);
        seen.push(client.next().await);
        installation = installation.restart_server().await;
        eventually("the host is back", async || {
            let health = installation.server.get("/health", &As::Nobody).await;
            health.body["hosts"]["online"] == 1
        })
        .await;
        installation.server.post(&format!("{capsule}/resume"), &key, json!({})).await.ok(200);
        installation.server.delete(&capsule, &key).await.ok(204);
        // The former stream ended with its server, and may have told some of it.
        while let Some(event) = in_time("the end of the stream", client.read()).await {
            seen.push(event);
        }
        let last = client.last_id.clone();
        client = EventClient::open(&installation.server, path, &key, last.as_deref()).await;
        loop {
            let event = client.next().await;
            if event.name == "ready" {
                break;
            }
            seen.push(event);
        }
    }
    write(&pool, "capsule.changed", 0, 1).await;
    loop {
        let event = client.next().await;
        if event.resource() == "0" {
            break;
        }
        seen.push(event);
    }
    let ids: BTreeSet<_> = seen.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), seen.len(), "none is repeated");
    let written = "SELECT resource_id, payload ->> 'status' FROM outbox
                   WHERE event = 'capsule.changed' AND resource_id <> '0' ORDER BY xid, id";
    let written: Vec<(String, String)> = sqlx::query_as(written).fetch_all(&pool).await.unwrap();
    let status =
        |event: &crate::support::events::Received| event.data["facts"]["status"].as_str().unwrap().to_owned();
    let seen: Vec<_> = seen.iter().map(|event| (event.resource().to_owned(), status(event))).collect();
    assert_eq!(seen, written);
}
