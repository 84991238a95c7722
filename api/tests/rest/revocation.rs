//! Revocation: what somebody opened ends soon after the permission for it is gone, whatever the way in which it went.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wrenn_testkit::wait::PATIENCE;

use crate::support::{As, TestServer, host::Installation, socket::Socket};

/// Time within which everything ends, which a busy machine may exceed tenfold.
const END_WITHIN: Duration = Duration::from_secs(50);

/// Ways in which a member of the team `ada` loses the permission.
const WAYS: [(&str, &str); 6] = [
    (
        "the member is removed",
        "DELETE FROM team_members WHERE user_id = (SELECT id FROM users WHERE name = 'bob')",
    ),
    ("the account is switched off", "UPDATE users SET is_active = false WHERE name = 'bob'"),
    ("the password is changed", "UPDATE users SET token_epoch = token_epoch + 1 WHERE name = 'bob'"),
    ("the account is deleted", "DELETE FROM users WHERE name = 'bob'"),
    (
        "the team is deleted",
        "UPDATE teams SET deleted_at = now() WHERE id = (SELECT team_id FROM sandboxes LIMIT 1)",
    ),
    ("the keys are revoked", "DELETE FROM api_keys"),
];

/// A stream of a running answer.
struct Stream(reqwest::Response);

impl Stream {
    async fn open(server: &TestServer, path: &str, who: &As) -> Self {
        let response = server.request("GET", path, who).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        Self(response)
    }

    /// Reads to the end, which must come in time, and returns the text.
    async fn ended(mut self) -> String {
        let mut text = String::new();
        let read = async {
            while let Ok(Some(piece)) = self.0.chunk().await {
                text.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        timeout(END_WITHIN, read).await.expect("the stream ends");
        text
    }
}

/// Signs up `bob`, who joins the team of `ada`; returns both, each acting for that team.
async fn team_of_two(server: &TestServer) -> (As, As) {
    let ada = server.signup("ada").await;
    server.signup("bob").await;
    let join = "INSERT INTO team_members (team_id, user_id, role)
                SELECT m.team_id, (SELECT id FROM users WHERE name = 'bob'), 'member' FROM team_members m
                WHERE m.user_id = (SELECT id FROM users WHERE name = 'ada')";
    sqlx::query(join).execute(&server.pool).await.unwrap();
    let login = json!({"email": "bob@example.org", "password": "correct horse"});
    let own = As::Token(server.post("/v1/auth/login", &As::Nobody, login).await.text("token"));
    let switched = server.post("/v1/auth/switch-team", &own, json!({"team_id": ada["team_id"]})).await;
    (As::Token(ada["token"].as_str().unwrap().into()), As::Token(switched.text("token")))
}

async fn started(server: &TestServer, path: &str, who: &As, start: Value) -> Socket {
    let mut socket = server.socket(path, who).await;
    socket.send(start).await;
    let begun = socket.next().await;
    assert!(begun["pid"].is_number(), "{begun}");
    socket
}

/// Opens everything that stays open as `bob`, takes the permission away, and waits for the ends.
async fn everything_ends(pool: PgPool, (name, sql): (&str, &'static str), is_key: bool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = team_of_two(server).await;
    let bob = if is_key { server.key(&bob).await } else { bob };
    let id = installation.running(&ada).await;
    let path = |what: &str| format!("/v1/capsules/{id}/{what}");

    let start = json!({"type": "start", "cmd": "sleep 1000"});
    let terminal = started(server, &path("pty"), &bob, start.clone()).await;
    let exec = started(server, &path("exec/stream"), &bob, start.clone()).await;
    // A socket whose client says nothing holds the permission, too.
    let silent = server.socket(&path("pty"), &bob).await;
    let watch = Stream::open(server, &path("files/watch?path=/"), &bob).await;
    let long = server.request("POST", &path("exec"), &bob).json(&json!({"cmd": "sleep 1000"}));
    let long = tokio::spawn(long.send());
    // Others keep what they have, unless the team is gone, and with it everything.
    let mut adas = started(server, &path("exec/stream"), &ada, start).await;

    sqlx::query(sql).execute(&server.pool).await.unwrap();
    for mut socket in [terminal, exec, silent] {
        let message = timeout(END_WITHIN, socket.fails(CloseCode::Policy)).await.expect("the socket ends");
        assert!(message.contains("revoked"), "{name}: {message}");
    }
    let events = watch.ended().await;
    assert!(events.contains("event: error") && events.contains("unauthorized"), "{name}: {events}");
    let answer = timeout(END_WITHIN, long).await.expect("the command ends").unwrap().unwrap();
    assert_eq!(answer.status(), 401, "{name}");
    let next = server.get("/v1/capsules", &bob).await;
    assert!([401, 403].contains(&next.status), "{name}: {next:?}");

    if !sql.contains("teams SET") {
        adas.send(json!({"type": "stop"})).await;
        let ended = timeout(PATIENCE, adas.ended()).await.expect("ada's socket ends");
        assert!(ended.error.is_none(), "{name}: {ended:?}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_removed_member_opened_ends(pool: PgPool) {
    everything_ends(pool, WAYS[0], false).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_key_opened_ends_when_its_maker_is_removed(pool: PgPool) {
    everything_ends(pool, WAYS[0], true).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_deactivated_user_opened_ends(pool: PgPool) {
    everything_ends(pool, WAYS[1], false).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_was_opened_before_the_password_was_changed_ends(pool: PgPool) {
    everything_ends(pool, WAYS[2], false).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_deleted_account_opened_ends(pool: PgPool) {
    everything_ends(pool, WAYS[3], false).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_was_opened_for_a_deleted_team_ends(pool: PgPool) {
    everything_ends(pool, WAYS[4], true).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_a_revoked_key_opened_ends(pool: PgPool) {
    everything_ends(pool, WAYS[5], true).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_logs_of_a_build_end_when_the_administrator_is_none_any_more(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let body = json!({"email": "root@example.org", "password": "correct horse"});
    let root = As::Token(server.post("/v1/auth/login", &As::Nobody, body).await.text("token"));
    let build = json!({"name": "slow", "recipe": "RUN sleep 1000", "skip_pre_post": true});
    let build = server.post("/v1/admin/builds", &root, build).await.ok(201);
    let path = format!("/v1/admin/builds/{}/logs", build["id"].as_str().unwrap());
    let logs = Stream::open(server, &path, &root).await;
    sqlx::query("UPDATE users SET is_admin = false").execute(&server.pool).await.unwrap();
    let events = logs.ended().await;
    assert!(events.contains("event: error") && events.contains("unauthorized"), "{events}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_export_of_the_audit_log_breaks_off_with_the_permission(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = team_of_two(server).await;
    sqlx::query("UPDATE team_members SET role = 'admin' WHERE role = 'member'")
        .execute(&server.pool)
        .await
        .unwrap();
    // More than the buffers on the way hold.
    let entries = "INSERT INTO audit_logs (id, team_id, scope, actor_type, action, resource_type, status, settled_at, metadata)
                   SELECT gen_random_uuid(), (SELECT team_id FROM team_members WHERE role = 'admin'), 'team', 'system',
                       'capsule.create', 'capsule', 'succeeded', now(), jsonb_build_object('note', repeat('x', 2000))
                   FROM generate_series(1, 20000)";
    sqlx::query(entries).execute(&server.pool).await.unwrap();
    let id = installation.running(&ada).await;
    let start = json!({"type": "start", "cmd": "sleep 1000"});
    let mut exec = started(server, &format!("/v1/capsules/{id}/exec/stream"), &bob, start).await;
    let mut export = server.request("GET", "/v1/audit-logs?format=jsonl", &bob).send().await.unwrap();
    assert_eq!(export.status(), 200);
    export.chunk().await.unwrap().expect("it begins");
    sqlx::query(WAYS[0].1).execute(&server.pool).await.unwrap();
    // The look that ends this has revoked the export, too.
    exec.fails(CloseCode::Policy).await;
    let rest = async {
        while export.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    timeout(END_WITHIN, rest)
        .await
        .expect("the export ends")
        .expect_err("it does not end as if it were complete");
}

/// A program in every simulated machine that answers a handshake, and everything else with a body without an end.
async fn endless_program() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = until(&mut connection, "\r\n\r\n").await;
                let answer = if head.contains("upgrade: websocket") {
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst"
                } else {
                    "HTTP/1.1 200 OK\r\n\r\nfirst"
                };
                connection.write_all(answer.as_bytes()).await.unwrap();
                let mut rest = Vec::new();
                let _ = connection.read_to_end(&mut rest).await;
            });
        }
    });
    port
}

/// Reads up to a text.
async fn until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.ends_with(end) {
            match connection.read_u8().await {
                Ok(byte) => text.push(char::from(byte)),
                Err(_) => break,
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer");
    text
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn previews_that_somebody_opened_end_with_the_permission_and_those_of_others_do_not(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = team_of_two(server).await;
    let bobs_key = server.key(&bob).await;
    let id = installation.running(&ada).await;
    let port = endless_program().await;
    let mut tokens = Vec::new();
    for who in [&bob, &bobs_key, &ada] {
        tokens.push(server.get(&format!("/v1/capsules/{id}"), who).await.text("preview_token"));
    }
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2], "{tokens:?}");
    let visit = async |token: &str, more: &str| {
        let mut connection = TcpStream::connect(server.addr).await.unwrap();
        let request =
            format!("GET / HTTP/1.1\r\nhost: {port}-{id}.localhost\r\nx-wrenn-token: {token}\r\n{more}\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    };
    const SOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\n";
    let mut opened = Vec::new();
    for token in &tokens {
        // Without a length, the second answer comes in chunks.
        for (more, first) in [(SOCKET, "first"), ("", "first\r\n")] {
            let mut connection = visit(token, more).await;
            until(&mut connection, first).await;
            opened.push(connection);
        }
    }
    sqlx::query(WAYS[0].1).execute(&server.pool).await.unwrap();
    let adas = opened.split_off(4);
    for mut connection in opened {
        let mut rest = Vec::new();
        let read = timeout(END_WITHIN, connection.read_to_end(&mut rest)).await.expect("the preview ends");
        assert!(read.is_err() || !rest.ends_with(b"0\r\n\r\n"), "a part was sent as the whole: {rest:?}");
    }
    for token in &tokens[..2] {
        let mut refused = visit(token, "connection: close\r\n").await;
        assert!(until(&mut refused, "\r\n").await.starts_with("HTTP/1.1 401 "));
    }
    for mut connection in adas {
        let more = timeout(Duration::from_millis(100), connection.read_u8()).await;
        more.expect_err("nothing came, and the preview is still open");
    }
}
