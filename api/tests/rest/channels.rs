//! Notification channels: their records, their destinations, and where no request may go.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_api::{NotifyConfig, Receivers, ServerConfig};
use wrenn_testkit::wait::found;

use crate::support::{
    self, Answer, As, TestServer,
    receiver::{ALLOWED, Receiver, Reply},
};

const SECRETS: [&str; 3] = ["/hook-path-secret", "query-secret", "whsec_"];

/// A server that may ask receivers on one address of loopback, and retries soon.
pub(crate) fn config(pool: &PgPool) -> ServerConfig {
    ServerConfig { notify: notify(), ..support::config(pool) }
}

fn notify() -> NotifyConfig {
    let receivers: Receivers = ALLOWED.parse().unwrap();
    NotifyConfig { receivers, first_pause: Duration::from_millis(100) }
}

pub(crate) fn webhook(url: &str, events: &[&str]) -> Value {
    json!({"name": "hook", "provider": "webhook", "config": {"url": url}, "events": events})
}

pub(crate) async fn create(server: &TestServer, who: &As, body: Value) -> Value {
    server.post("/v1/channels", who, body).await.ok(201)
}

pub(crate) fn path(channel: &Value) -> String {
    format!("/v1/channels/{}", channel["id"].as_str().unwrap())
}

pub(crate) async fn put_config(server: &TestServer, who: &As, channel: &Value, config: Value) -> Answer {
    let path = format!("{}/config", path(channel));
    server.send(server.request("PUT", &path, who).json(&json!({"config": config}))).await
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn channels_are_made_shown_changed_and_deleted_without_their_secrets(pool: PgPool) {
    let server = TestServer::start_with(pool.clone(), config(&pool)).await;
    let ada = server.token("ada").await;
    let bob = server.token("bob").await;
    let url = "https://example.com/hook-path-secret?key=query-secret";
    let made = create(&server, &ada, webhook(url, &["host.up", "capsule.created", "host.up"])).await;
    assert!(made["id"].as_str().unwrap().starts_with("ch-"), "{made}");
    assert_eq!(made["events"], json!(["capsule.created", "host.up"]), "each once");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");

    let shown = server.get(&path(&made), &ada).await.ok(200);
    let listed = server.get("/v1/channels", &ada).await.ok(200);
    assert_eq!(listed, json!([shown]));
    assert_eq!((&shown["disabled_at"], &shown["last_error"]), (&Value::Null, &Value::Null));
    let patch = |who: &As, body: Value| server.request("PATCH", &path(&made), who).json(&body);
    let changed = server.send(patch(&ada, json!({"name": "b", "events": ["host.down"]}))).await.ok(200);
    assert_eq!((&changed["name"], &changed["events"]), (&json!("b"), &json!(["host.down"])));
    for answer in [&shown, &listed, &changed] {
        assert!(SECRETS.iter().all(|secret| !answer.to_string().contains(secret)), "{answer}");
    }
    let rotated = put_config(&server, &ada, &made, json!({"url": url})).await.ok(200);
    assert_ne!(rotated["secret"], made["secret"]);
    // Another team's channel does not exist.
    for answer in [
        server.get(&path(&made), &bob).await,
        server.delete(&path(&made), &bob).await,
        server.send(patch(&bob, json!({"name": "b", "events": ["host.down"]}))).await,
        put_config(&server, &bob, &made, json!({"url": url})).await,
    ] {
        assert_eq!(answer.error(), (404, "not_found"));
    }
    assert_eq!(server.get("/v1/channels", &bob).await.ok(200), json!([]));
    server.delete(&path(&made), &ada).await.ok(204);
    assert_eq!(server.get(&path(&made), &ada).await.error(), (404, "not_found"));
    assert_eq!(server.delete(&path(&made), &ada).await.error(), (404, "not_found"));
    let slack = json!({"name": "s", "provider": "slack", "config": {"url": url}, "events": ["host.up"]});
    assert_eq!(create(&server, &ada, slack).await.get("secret"), None, "only webhooks are signed");

    let log = "SELECT string_agg(a::text, '') FROM audit_logs a";
    let log: String = sqlx::query_scalar(log).fetch_one(&pool).await.unwrap();
    let events = "SELECT string_agg(o::text, '') FROM outbox o";
    let events: String = sqlx::query_scalar(events).fetch_one(&pool).await.unwrap();
    assert!(log.contains("channel.configure") && events.contains("channel.delete"));
    assert!(SECRETS.iter().all(|secret| !log.contains(secret) && !events.contains(secret)), "{log}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_wrong_with_a_channel_is_said_without_its_values(pool: PgPool) {
    let server = TestServer::start_with(pool.clone(), config(&pool)).await;
    let ada = server.token("ada").await;
    let good = webhook("https://example.com/", &["host.up"]);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, expected) in [
        (with("name", json!(" ")), "name: "),
        (with("provider", json!("pager")), "provider: "),
        (with("events", json!([])), "events: must have at least one"),
        (with("events", json!(["capsule.exploded"])), "events[0]: "),
        (with("config", json!({})), "config.url: is missing"),
        (with("config", json!({"url": 7})), "config.url: "),
        (with("config", json!({"url": "https://u:query-secret@example.com"})), "config.url: has a user"),
        (with("config", json!({"url": "https://example.com", "secret": "query-secret"})), "config.secret: "),
        (with("provider", json!("telegram")), "config.bot_token: is missing"),
    ] {
        let answer = server.post("/v1/channels", &ada, body).await;
        assert_eq!(answer.error(), (400, "invalid_request"));
        let message = answer.message();
        assert!(message.starts_with(expected) && !message.contains("query-secret"), "{message}");
    }
    // At once: the limit is exact.
    let requests = (0..25).map(|_| server.post("/v1/channels", &ada, good.clone()));
    let answers = futures_util::future::join_all(requests).await;
    let made: Vec<_> = answers.into_iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 20);
    let made = &made[0].body;
    let many = server.post("/v1/channels", &ada, good.clone()).await;
    assert_eq!(many.error(), (409, "conflict"));
    assert!(many.message().contains("20 channels"), "{}", many.message());
    let wrong = put_config(&server, &ada, made, json!({"webhook_url": "nowhere"})).await;
    assert!(wrong.message().starts_with("config.webhook_url: "), "{}", wrong.message());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn no_request_reaches_an_address_that_is_not_allowed(pool: PgPool) {
    let inside = Receiver::start("127.0.0.1", |_, _| Reply::Status(200)).await;
    let target = inside.url("/");
    let port = inside.addr.port();
    let server = TestServer::start_with(pool.clone(), config(&pool)).await;
    let mut users = Vec::new();
    for name in ["ada", "bob", "eve"] {
        users.push(server.token(name).await);
    }
    let test = async |user: &As, url: &str| {
        server.post("/v1/channels/test", user, json!({"provider": "webhook", "config": {"url": url}})).await
    };
    for url in [
        target.clone(),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::1]:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let answer = test(&users[0], &url).await;
        assert_eq!(answer.error(), (400, "invalid_request"));
        assert!(answer.message().contains("is not public"), "{url}: {}", answer.message());
    }
    // The receiver itself is allowed, what it redirects to is not.
    for (status, to, expected) in [
        (307, target.clone(), "is not public"),
        (308, format!("//127.0.0.1:{port}/x"), "is not public"),
        (302, target.clone(), "answered 302"),
        (307, "ftp://127.0.0.1/".to_owned(), "redirects to an address that is not valid"),
        (307, format!("http://u:p@{ALLOWED}/"), "redirects to an address that is not valid"),
        (307, "/".to_owned(), "redirects too often"),
    ] {
        let receiver = Receiver::start(ALLOWED, move |_, _| Reply::Redirect(status, to.clone())).await;
        let answer = test(&users[1], &receiver.url("/")).await;
        assert!(answer.message().contains(expected), "{}", answer.message());
        assert!(receiver.all().len() <= 4, "three redirects at most");
    }
    assert_eq!(inside.all().len(), 0);

    let end = Receiver::ok().await;
    let url = end.url("/end");
    let receiver = Receiver::start(ALLOWED, move |_, _| Reply::Redirect(307, url.clone())).await;
    assert_eq!(test(&users[2], &receiver.url("/")).await.ok(200), json!({"status": "ok"}));
    let all = end.all();
    assert_eq!((all[0].line.as_str(), all[0].event()), ("POST /end HTTP/1.1", "channel.test"));
    assert_eq!(test(&users[2], "http://nothing.invalid/").await.error(), (400, "invalid_request"));
    let limited = found("tests are limited", async || {
        let answer = test(&users[2], &end.url("/")).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(limited.error(), (429, "rate_limited"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_provider_gets_its_own_request(pool: PgPool) {
    let receiver = Receiver::ok().await;
    let server = TestServer::start_with(pool.clone(), config(&pool)).await;
    let ada = server.token("ada").await;
    let url = receiver.url("/x");
    for (provider, config, line, field) in [
        ("slack", json!({"webhook_url": url}), "POST /x ", "text"),
        ("discord", json!({"webhook_url": url}), "POST /x ", "content"),
        ("teams", json!({"webhook_url": url}), "POST /x ", "attachments"),
        ("googlechat", json!({"url": url}), "POST /x ", "text"),
        (
            "telegram",
            json!({"api_url": receiver.url(""), "bot_token": "1:a", "chat_id": "7"}),
            "POST /bot1:a/sendMessage ",
            "text",
        ),
        (
            "matrix",
            json!({"homeserver_url": receiver.url(""), "access_token": "t", "room_id": "!a:b"}),
            "PUT /_matrix/client/v3/rooms/!a:b/send/m.room.message/dlv-",
            "body",
        ),
    ] {
        let body = json!({"provider": provider, "config": config});
        server.post("/v1/channels/test", &ada, body).await.ok(200);
        let received = receiver.all().pop().unwrap();
        assert!(received.line.starts_with(line), "{}", received.line);
        assert!(!received.body[field].is_null(), "{provider}: {}", received.body);
        assert!(!received.headers.contains_key("x-wrenn-signature"), "{provider}");
        assert_eq!(received.headers["content-type"], "application/json");
    }
}
