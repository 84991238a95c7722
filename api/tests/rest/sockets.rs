//! What every socket has in common: who is let in, frames that are none, the end of the server.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{CloseCode, Data, OpCode},
    },
};

use wrenn_base::Clock;

use crate::support::{As, TestServer, config, host::Installation, socket::Socket};

const SOCKETS: [&str; 3] = ["exec/stream", "pty", "processes/some/stream"];

/// The first frame of a client without headers.
fn auth(who: &As) -> serde_json::Value {
    match who {
        As::Token(token) => json!({"type": "auth", "token": token}),
        As::Key(key) => json!({"type": "auth", "api_key": key}),
        As::Nobody => json!({"type": "auth"}),
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_with_headers_gets_plain_answers(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let id = installation.running(&ada).await;
    for socket in SOCKETS {
        let path = format!("/v1/capsules/{id}/{socket}");
        let status = async |path: &str, who: &As| server.try_socket(path, who).await.err();
        assert_eq!(status(&path, &As::Token("nonsense".into())).await, Some(401), "{socket}");
        assert_eq!(status(&path, &As::Key("wrn_nonsense".into())).await, Some(401), "{socket}");
        assert_eq!(status(&path, &bob).await, Some(404), "{socket}");
        assert_eq!(status(&format!("/v1/capsules/nonsense/{socket}"), &ada).await, Some(400), "{socket}");
        assert_eq!(status(&path, &server.key(&ada).await).await, None, "{socket}");
        // No socket was asked for.
        assert_eq!(server.get(&path, &ada).await.error(), (400, "invalid_request"), "{socket}");
        assert_eq!(server.get(&path, &As::Nobody).await.error(), (401, "unauthorized"), "{socket}");
    }
    server.post(&format!("/v1/capsules/{id}/pause"), &ada, json!({})).await.ok(200);
    for socket in SOCKETS {
        let refused = server.try_socket(&format!("/api/v1/sandboxes/{id}/{socket}"), &ada).await.err();
        assert_eq!(refused, Some(409), "{socket}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_without_headers_says_who_it_is_in_its_first_frame(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let key = server.key(&ada).await;
    let id = installation.running(&ada).await;
    let path = format!("/v1/capsules/{id}/exec/stream");
    for who in [&ada, &key] {
        let mut socket = server.socket(&path, &As::Nobody).await;
        socket.send(auth(who)).await;
        socket.send(json!({"type": "start", "cmd": "echo in"})).await;
        assert_eq!(socket.next().await["type"], "start");
        socket.expect(json!({"type": "stdout", "data": "in\n"})).await;
    }
    let refused = async |socket: &str, first: serde_json::Value| {
        let mut socket = server.socket(&format!("/v1/capsules/{id}/{socket}"), &As::Nobody).await;
        socket.send(first).await;
        socket.fails(CloseCode::Policy).await
    };
    for socket in SOCKETS {
        refused(socket, auth(&As::Token("nonsense".into()))).await;
        refused(socket, auth(&As::Key("nonsense".into()))).await;
        refused(socket, auth(&As::Nobody)).await;
        assert!(refused(socket, auth(&bob)).await.contains("there is no capsule"), "{socket}");
        // Nothing is done for a client that is not known.
        assert!(refused(socket, json!({"type": "start", "cmd": "true"})).await.contains("auth"), "{socket}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_without_credentials_has_ten_seconds_for_its_first_frame(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let server = TestServer::start_at(pool.clone(), config(&pool), clock).await;
    let mut late = server.socket("/v1/capsules/cl-0000000000000000000000001/exec/stream", &As::Nobody).await;
    let mut ended = pin!(late.fails(CloseCode::Policy));
    let mut passed_sec = 0;
    let message = loop {
        tokio::select! {
            message = &mut ended => break message,
            () = sleep(Duration::from_millis(10)) => {
                hand.advance(Duration::from_secs(1));
                passed_sec += 1;
            }
        }
    };
    assert!(message.contains("in time"), "{message}");
    assert!(passed_sec >= 10, "after {passed_sec} s");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn frames_that_mean_nothing_end_the_socket_with_a_reason(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let id = installation.running(&ada).await;
    let text = |text: &str| Message::text(text.to_owned());
    let no_utf8 = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    let no_opcode = Frame::message(vec![1], OpCode::Data(Data::Reserved(5)), true);
    let large = || Message::text(format!(r#"{{"type":"stdin","data":"{}"}}"#, "A".repeat(1 << 20)));
    let garbage: Vec<(Message, CloseCode)> = vec![
        (text(""), CloseCode::Invalid),
        (text("nonsense"), CloseCode::Invalid),
        (text(r#"{"type":"start","cmd":"#), CloseCode::Invalid),
        (Message::Frame(no_utf8), CloseCode::Invalid),
        (text("[]"), CloseCode::Policy),
        (text("{}"), CloseCode::Policy),
        (text(r#"{"type":"nonsense"}"#), CloseCode::Policy),
        (text(r#"{"type":7}"#), CloseCode::Policy),
        (text(r#"{"type":"auth","token":"x"}"#), CloseCode::Policy),
        (Message::binary(vec![1, 2, 3]), CloseCode::Unsupported),
        (large(), CloseCode::Size),
        (Message::Frame(no_opcode), CloseCode::Protocol),
    ];
    let open = async |socket: &str| server.socket(&format!("/v1/capsules/{id}/{socket}"), &ada).await;
    let started = async |socket: &str| -> Socket {
        let mut open = open(socket).await;
        open.send(json!({"type": "start", "cmd": "cat"})).await;
        open.next().await;
        open
    };
    for (message, code) in garbage {
        for socket in ["exec/stream", "pty"] {
            for mut socket in [open(socket).await, started(socket).await] {
                socket.send_in_vain(message.clone()).await;
                socket.fails(code).await;
            }
        }
    }
    for (socket, frame, code) in [
        ("exec/stream", json!({"type": "stdin", "data": "AA=="}), CloseCode::Policy),
        ("exec/stream", json!({"type": "stop"}), CloseCode::Policy),
        ("exec/stream", json!({"type": "start", "cmd": ""}), CloseCode::Policy),
        ("exec/stream", json!({"type": "start", "cmd": "true", "timeout_sec": -1}), CloseCode::Policy),
        ("exec/stream", json!({"type": "start", "cmd": "true", "encoding": "x"}), CloseCode::Policy),
        ("pty", json!({"type": "input", "data": "AA=="}), CloseCode::Policy),
        ("pty", json!({"type": "start", "cols": 0}), CloseCode::Policy),
        ("pty", json!({"type": "connect", "tag": "a b"}), CloseCode::Policy),
    ] {
        let mut socket = open(socket).await;
        socket.send(frame.clone()).await;
        assert!(!socket.fails(code).await.is_empty(), "{frame}");
    }
    for (socket, frame, code) in [
        ("exec/stream", json!({"type": "start", "cmd": "true"}), CloseCode::Policy),
        ("exec/stream", json!({"type": "stdin", "data": "?"}), CloseCode::Invalid),
        ("exec/stream", json!({"type": "signal", "signal": "SIGNOTHING"}), CloseCode::Policy),
        ("pty", json!({"type": "connect", "tag": "x"}), CloseCode::Policy),
        ("pty", json!({"type": "input", "data": "A"}), CloseCode::Invalid),
        ("pty", json!({"type": "resize", "cols": -1, "rows": 1}), CloseCode::Policy),
    ] {
        let mut socket = started(socket).await;
        socket.send(frame.clone()).await;
        assert!(!socket.fails(code).await.is_empty(), "{frame}");
    }
    // A frame in pieces is one frame, and too many pieces are too many.
    let mut socket = started("exec/stream").await;
    let pieces = [(Data::Text, r#"{"type":"#, false), (Data::Continue, r#""close_stdin"}"#, true)];
    for (kind, piece, is_last) in pieces {
        socket.send_raw(Message::Frame(Frame::message(piece, OpCode::Data(kind), is_last))).await;
    }
    assert_eq!(socket.next().await["type"], "exit");
    let mut socket = started("exec/stream").await;
    for number in 0..20 {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        let piece = Frame::message(vec![b' '; 64 * 1024], OpCode::Data(kind), false);
        socket.send_in_vain(Message::Frame(piece)).await;
    }
    socket.fails(CloseCode::Size).await;
    // Nothing of it has hurt anybody else.
    assert_eq!(installation.prints(&ada, &id, "echo on").await, "on\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_stops_says_so_and_does_not_wait(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let ada = installation.server.token("ada").await;
    let id = installation.running(&ada).await;
    let mut idle = installation.server.socket(&format!("/v1/capsules/{id}/pty"), &ada).await;
    let mut busy = installation.server.socket(&format!("/v1/capsules/{id}/exec/stream"), &ada).await;
    busy.send(json!({"type": "start", "cmd": "cat"})).await;
    busy.next().await;
    let began = Instant::now();
    installation.server.stop();
    idle.fails(CloseCode::Away).await;
    busy.fails(CloseCode::Away).await;
    drop(installation);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
