//! Previews: whom they let in, what they pass on, and what a visitor sees when there is nothing to see.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use wrenn_proto::ids::SandboxId;

use crate::support::{As, client, host::Installation};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client that goes where it is told, and follows nothing.
struct Visitor<'a> {
    installation: &'a Installation,
    client: reqwest::Client,
}

impl<'a> Visitor<'a> {
    fn new(installation: &'a Installation) -> Self {
        let client = client(None).redirect(redirect::Policy::none()).build().unwrap();
        Self { installation, client }
    }

    fn ask(&self, host: &str, path: &str) -> RequestBuilder {
        let request = self.client.get(self.installation.server.url(path));
        request.header("host", host).timeout(PATIENCE)
    }

    async fn get(&self, host: &str, path: &str) -> Response {
        self.ask(host, path).send().await.unwrap()
    }
}

fn host(port: u16, id: &str) -> String {
    format!("{port}-{id}.localhost")
}

/// A program on this machine, whose port every simulated machine has, that answers each connection with `answer`
/// and tells what it was asked.
async fn program(answer: &'static str) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, questions) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let _ = asked.send(head(&mut connection).await);
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, questions)
}

/// Reads a head, up to its empty line.
async fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

const HELLO: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-own: yes\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\r\nhello";

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_visitor_needs_the_token_unless_the_owner_says_otherwise(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let id = installation.running(&ada).await;
    let shown = server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    assert_eq!(shown["preview_access"], "token");
    assert!(shown["preview_url"].as_str().unwrap().contains(&format!("{{port}}-{id}.localhost:")), "{shown}");
    let token = shown["preview_token"].as_str().unwrap();
    let (port, mut questions) = program(HELLO).await;
    let (visitor, host) = (Visitor::new(&installation), host(port, &id));

    let refused = visitor.get(&host, "/").await;
    assert_eq!(refused.status(), 401);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["code"], "unauthorized");
    assert!(questions.try_recv().is_err(), "the program was asked");

    let link = visitor.get(&host, &format!("//evil.example/%20?a=1&wrenn_token={token}&b")).await;
    assert_eq!(link.status(), 302);
    assert_eq!(link.headers()["location"], "/evil.example/%20?a=1&b", "nobody is sent to another host");
    let cookie = link.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

    let cookie = cookie.split(';').next().unwrap();
    let answer =
        visitor.ask(&host, "/page?q").header("cookie", format!("a=b; {cookie}")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-own"], "yes");
    for ours in ["x-hop", "x-request-id", "x-frame-options", "content-security-policy", "content-encoding"] {
        assert!(!answer.headers().contains_key(ours), "{ours} was added or left");
    }
    assert_eq!(answer.text().await.unwrap(), "hello");
    let asked = questions.recv().await.unwrap();
    assert!(asked.starts_with("GET /page?q HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {host}\r\n")) && asked.contains("cookie: a=b\r\n"), "{asked}");
    assert!(!asked.contains(token), "{asked}");

    let path = format!("/v1/capsules/{id}/preview");
    let put = async |who: &As, body: Value| server.send(server.request("PUT", &path, who).json(&body)).await;
    assert_eq!(put(&ada, json!({"access": "everybody"})).await.error(), (400, "invalid_request"));
    assert_eq!(put(&ada, json!({"token": "mine"})).await.error(), (400, "invalid_request"));
    assert_eq!(
        put(&server.token("bob").await, json!({"access": "public"})).await.error(),
        (404, "not_found")
    );
    assert_eq!(put(&ada, json!({"access": "public"})).await.ok(200)["preview_token"], token);
    assert_eq!(visitor.get(&host, "/").await.status(), 200);
    let rotated = put(&ada, json!({"access": "token", "rotate_token": true})).await.ok(200);
    assert_ne!(rotated["preview_token"], token);
    let old = visitor.ask(&host, "/").header("x-wrenn-token", token).send().await.unwrap();
    assert_eq!(old.status(), 401);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn where_nothing_is_to_be_seen_the_visitor_is_told_why(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let body = json!({"wait": true, "preview_access": "public"});
    let id = server.post("/v1/capsules", &ada, body).await.text("id");
    let visitor = Visitor::new(&installation);
    let told = async |host: &str, status: u16, word: &str| {
        let json: Value = {
            let answer = visitor.get(host, "/").await;
            assert_eq!(answer.status(), status, "{host}");
            answer.json().await.unwrap()
        };
        assert!(json["error"]["message"].as_str().unwrap().contains(word), "{host}: {json}");
        let page = visitor.ask(host, "/").header("accept", "text/html,*/*").send().await.unwrap();
        assert_eq!(page.status(), status, "{host}");
        let page = page.text().await.unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains(word), "{host}: {page}");
    };

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    told(&host(closed, &id), 502, "nothing listens").await;
    told(&host(80, &SandboxId::new().to_string()), 404, "no capsule").await;

    let (port, _questions) = program("this is no http\r\n\r\n").await;
    told(&host(port, &id), 502, "broke").await;
    let (port, _questions) = program("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let cut = visitor.get(&host(port, &id), "/").await;
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err(), "half an answer looks like a whole one");

    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    told(&host(port, &id), 409, "paused").await;
    server.delete(&format!("/v1/capsules/{id}"), &ada).await.ok(204);
    told(&host(port, &id), 404, "no capsule").await;

    // A name that only looks like a preview's is the dashboard's.
    assert_ne!(visitor.get("x.localhost", "/health").await.status(), 404);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_request_wakes_a_capsule_and_garbage_harms_nobody(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let body = json!({"wait": true, "preview_access": "public", "auto_resume": true});
    let id = server.post("/v1/capsules", &ada, body).await.text("id");
    let (port, _questions) = program(HELLO).await;
    let (visitor, host) = (Visitor::new(&installation), host(port, &id));
    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    assert_eq!(visitor.get(&host, "/").await.status(), 200);
    assert_eq!(server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200)["status"], "running");

    let address = server.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    for garbage in [
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nhost: other\r\ncontent-length: x\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\u{1}\u{2}garbage"
        ),
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100\r\n\r\nhalf"),
        format!("PUT http://[::/ HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "x".repeat(300_000)),
        format!("GET /%00%ff HTTP/1.1\r\nhost: {host}\r\nx: \u{7f}\r\n\r\n"),
    ] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.write_all(garbage.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "no end after {:?}", &garbage[..garbage.len().min(100)]);
    }
    assert_eq!(visitor.get(&host, "/").await.status(), 200);
}
