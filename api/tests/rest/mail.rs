//! Mail: addresses are confirmed, and forgotten passwords replaced, by links that a small SMTP server of the test receives.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use wrenn_api::{MailConfig, ServerConfig};
use wrenn_testkit::wait::{eventually, found};

use crate::support::{As, TestServer, config};

/// A mail as it arrived.
#[derive(Debug, Clone)]
struct Received {
    to: String,
    text: String,
}

impl Received {
    /// Token of the link to a page.
    fn token(&self, page: &str) -> String {
        // Long lines are broken by a `=` at their end, and a `=` itself is written as `=3D`.
        let text = self.text.replace("=\r\n", "").replace("=3D", "=");
        let start = format!("https://wrenn.example.org/{page}?token=");
        let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("no link to {page} in {text}"));
        rest.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

/// SMTP server that keeps what it receives, after it has failed `failures` times.
struct Sink {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Sink {
    async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        tokio::spawn(async move {
            let mut failures = failures;
            while let Ok((stream, _)) = listener.accept().await {
                let fails = failures > 0;
                failures = failures.saturating_sub(1);
                tokio::spawn(converse(stream, kept.clone(), fails));
            }
        });
        Self { url, received }
    }

    /// The mail to an address, oldest first.
    fn mail_to(&self, address: &str) -> Vec<Received> {
        self.received.lock().iter().filter(|mail| mail.to == address).cloned().collect()
    }

    /// The `count`th mail to an address.
    async fn mail(&self, address: &str, count: usize) -> Received {
        found("the mail arrives", async || self.mail_to(address).get(count - 1).cloned()).await
    }
}

async fn converse(stream: TcpStream, kept: Arc<Mutex<Vec<Received>>>, fails: bool) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 sink\r\n").await.ok()?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim().to_ascii_uppercase();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "RCPT" if fails => "451 try again",
            "RCPT" => {
                to = line.split_once('<')?.1.split_once('>')?.0.to_owned();
                "250 ok"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    if lines.read_line(&mut text).await.ok()? == 0 {
                        return None;
                    }
                }
                kept.lock().push(Received { to: to.clone(), text });
                "250 ok"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

async fn start(pool: &PgPool, sink: &Sink) -> TestServer {
    let config = ServerConfig {
        mail: Some(MailConfig::new(&sink.url, "Wrenn <wrenn@example.org>").unwrap()),
        public_url: Some("https://wrenn.example.org".parse().unwrap()),
        ..config(pool)
    };
    TestServer::start_with(pool.clone(), config).await
}

async fn is_verified(server: &TestServer, who: &As) -> Value {
    server.get("/v1/me", who).await.ok(200)["is_verified"].clone()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_address_is_confirmed_by_the_newest_link_once(pool: PgPool) {
    let sink = Sink::start(0).await;
    let server = start(&pool, &sink).await;
    assert_eq!(server.get("/v1/auth/methods", &As::Nobody).await.ok(200)["mail"], true);
    let ada = server.token("ada").await;
    // Until the address is confirmed the account can be used, by itself.
    assert_eq!(is_verified(&server, &ada).await, false);
    server.get("/v1/capsules", &ada).await.ok(200);
    // The owner of the address could not undo that.
    assert_eq!(server.post("/v1/me/totp", &ada, json!({})).await.error(), (409, "invalid_state"));

    let first = sink.mail("ada@example.org", 1).await.token("activate");
    server.post("/v1/me/activation", &ada, json!({})).await.ok(204);
    let second = sink.mail("ada@example.org", 2).await.token("activate");
    let activate = |token: &str| server.post("/v1/auth/activate", &As::Nobody, json!({ "token": token }));
    for wrong in [&first, "", "x"] {
        assert_eq!(activate(wrong).await.error(), (400, "invalid_request"), "{wrong}");
    }
    // A link of one kind is none of the other.
    let body = json!({"token": second, "new_password": "another horse"});
    let other = server.post("/v1/me/password/reset/confirm", &As::Nobody, body).await;
    assert_eq!(other.error(), (400, "invalid_request"));
    let answers = futures_util::future::join_all((0..4).map(|_| activate(&second))).await;
    let confirmed: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(confirmed.len(), 1, "{answers:?}");
    let token = As::Token(confirmed[0].text("token"));
    assert_eq!(is_verified(&server, &token).await, true);
    server.post("/v1/me/activation", &ada, json!({})).await.ok(204);

    let bob = server.token("bob").await;
    let expired = sink.mail("bob@example.org", 1).await.token("activate");
    sqlx::query("UPDATE user_links SET expires_at = now()").execute(&pool).await.unwrap();
    assert_eq!(activate(&expired).await.error(), (400, "invalid_request"));
    assert_eq!(is_verified(&server, &bob).await, false);
    assert_eq!(sink.mail_to("ada@example.org").len(), 2);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_forgotten_password_is_replaced_by_a_link_and_strangers_learn_nothing(pool: PgPool) {
    let sink = Sink::start(0).await;
    let server = start(&pool, &sink).await;
    let ada = server.token("ada").await;
    sink.mail("ada@example.org", 1).await;
    let forget = |email: &str| server.post("/v1/me/password/reset", &As::Nobody, json!({ "email": email }));
    let known = forget("ADA@example.org").await;
    for unknown in ["nobody@example.org", "no address", "a\0@example.org"] {
        let answer = forget(unknown).await;
        assert_eq!((answer.status, &answer.body), (known.status, &known.body), "{unknown}");
    }
    assert_eq!(known.status, 204);
    let token = sink.mail("ada@example.org", 2).await.token("reset-password");
    let confirm = |password: &str| {
        let body = json!({"token": token, "new_password": password});
        server.post("/v1/me/password/reset/confirm", &As::Nobody, body)
    };
    confirm("another horse").await.ok(204);
    assert_eq!(confirm("a third horse").await.error(), (400, "invalid_request"));
    assert_eq!(server.get("/v1/me", &ada).await.error(), (401, "unauthorized"));
    assert_eq!(server.login("ada", "correct horse").await.error(), (401, "unauthorized"));
    server.login("ada", "another horse").await.ok(200);

    // A changed password ends the links that would replace it once more.
    forget("ada@example.org").await.ok(204);
    let stale = sink.mail("ada@example.org", 3).await.token("reset-password");
    let ada = As::Token(server.login("ada", "another horse").await.text("token"));
    let body = json!({"current_password": "another horse", "new_password": "a third horse"});
    server.post("/v1/me/password", &ada, body).await.ok(204);
    let body = json!({"token": stale, "new_password": "another horse"});
    let refused = server.post("/v1/me/password/reset/confirm", &As::Nobody, body).await;
    assert_eq!(refused.error(), (400, "invalid_request"));
    assert!(sink.mail_to("nobody@example.org").is_empty());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn nobody_is_flooded_with_mail_and_what_fails_is_sent_again(pool: PgPool) {
    let sink = Sink::start(1).await;
    let server = start(&pool, &sink).await;
    server.signup("ada").await;
    // The first attempt failed.
    sink.mail("ada@example.org", 1).await;
    for _ in 0..6 {
        let body = json!({"email": "ada@example.org"});
        server.post("/v1/me/password/reset", &As::Nobody, body).await.ok(204);
    }
    eventually("three links are sent", async || sink.mail_to("ada@example.org").len() == 4).await;
    // A later mail that does arrive: nothing is left in the queue before it.
    server.signup("bob").await;
    sink.mail("bob@example.org", 1).await;
    assert_eq!(sink.mail_to("ada@example.org").len(), 4);
    let mut refused = 0;
    for n in 0..30 {
        let body = json!({"email": format!("{n}@example.org")});
        let answer = server.post("/v1/me/password/reset", &As::Nobody, body).await;
        refused += usize::from(answer.status == 429);
    }
    assert!(refused >= 10, "{refused}");
}
