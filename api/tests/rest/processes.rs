//! Commands over sockets, terminals, and processes that outlive both.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wrenn_testkit::wait::eventually;

use crate::support::{As, host::Installation, socket::Socket};

struct Capsule<'a> {
    installation: &'a Installation,
    who: As,
    path: String,
}

impl<'a> Capsule<'a> {
    async fn new(installation: &'a Installation) -> Self {
        let who = installation.server.token("ada").await;
        let id = installation.running(&who).await;
        Self { installation, who, path: format!("/v1/capsules/{id}") }
    }

    async fn socket(&self, path: &str) -> Socket {
        self.installation.server.socket(&format!("{}/{path}", self.path), &self.who).await
    }

    /// A command over a socket, with its pid.
    async fn run(&self, start: Value) -> (Socket, Value) {
        let mut socket = self.socket("exec/stream").await;
        let mut frame = json!({"type": "start"});
        frame.as_object_mut().unwrap().extend(start.as_object().unwrap().clone());
        socket.send(frame).await;
        let started = socket.next().await;
        assert_eq!(started["type"], "start", "{started}");
        (socket, started["pid"].clone())
    }

    async fn list(&self) -> Vec<Value> {
        let listed = self.installation.server.get(&format!("{}/processes", self.path), &self.who).await;
        listed.ok(200)["processes"].as_array().unwrap().clone()
    }

    async fn kill(&self, selector: &str) -> u16 {
        let path = format!("{}/processes/{selector}", self.path);
        self.installation.server.delete(&path, &self.who).await.status
    }
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn exit(code: i32) -> Value {
    json!({"type": "exit", "exit_code": code, "timed_out": false})
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_command_is_heard_and_typed_to(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let (mut socket, _) =
        capsule.run(json!({"cmd": "warn careful; env A; cat; exit 7", "envs": {"A": "b"}})).await;
    socket.expect(json!({"type": "stderr", "data": "careful\n"})).await;
    socket.expect(json!({"type": "stdout", "data": "b\n"})).await;
    // A character in two frames is one of the text.
    let bytes = "grüße".as_bytes();
    for half in [&bytes[..3], &bytes[3..]] {
        socket.send(json!({"type": "stdin", "data": BASE64_STANDARD.encode(half)})).await;
    }
    socket.expect(json!({"type": "stdout", "data": "gr"})).await;
    socket.expect(json!({"type": "stdout", "data": "üße"})).await;
    socket.send(json!({"type": "signal", "signal": "SIGUSR1"})).await;
    socket.expect(json!({"type": "stderr", "data": "signal 10\n"})).await;
    socket.send(json!({"type": "close_stdin"})).await;
    socket.expect(exit(7)).await;
    assert_eq!(socket.ended().await.close.map(|(code, _)| code), Some(CloseCode::Normal));

    let (mut socket, _) = capsule.run(json!({"cmd": "echo", "args": ["x"], "encoding": "base64"})).await;
    socket.expect(json!({"type": "stdout", "data": base64("x\n"), "encoding": "base64"})).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn stop_ends_a_command_and_so_does_its_limit(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let (mut socket, _) = capsule.run(json!({"cmd": "sleep 100"})).await;
    socket.send(json!({"type": "stop"})).await;
    socket.expect(exit(137)).await;
    let (mut socket, _) = capsule.run(json!({"cmd": "sleep 100", "timeout_sec": 1})).await;
    socket.expect(json!({"type": "exit", "exit_code": 124, "timed_out": true})).await;
    let mut socket = capsule.socket("exec/stream").await;
    socket.send(json!({"type": "start", "cmd": "true", "user": "nobody-here"})).await;
    assert!(socket.fails(CloseCode::Policy).await.starts_with("user: "));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_process_outlives_its_socket_and_is_taken_up_again(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let (mut socket, pid) = capsule.run(json!({"cmd": "echo one; cat; echo two", "tag": "loop"})).await;
    socket.expect(json!({"type": "stdout", "data": "one\n"})).await;
    socket.vanish();

    let listed = capsule.list().await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let process = &listed[0];
    assert_eq!(
        (&process["pid"], &process["tag"], &process["terminal"]),
        (&pid, &json!("loop"), &json!(false))
    );
    assert_eq!((&process["cmd"], &process["user"]), (&json!("echo one; cat; echo two"), &json!("root")));
    assert!(process["started_at"].as_str().unwrap().starts_with("20"), "{process}");

    // By its pid as well as by its tag, and by several at once.
    let mut first = capsule.socket("processes/loop/stream").await;
    let mut second = capsule.socket(&format!("processes/{pid}/stream?encoding=base64")).await;
    first.expect(json!({"type": "start", "pid": pid, "tag": "loop"})).await;
    first.expect(json!({"type": "stdout", "data": "one\n"})).await;
    second.expect(json!({"type": "start", "pid": pid, "tag": "loop"})).await;
    second.expect(json!({"type": "stdout", "data": base64("one\n"), "encoding": "base64"})).await;
    second.send(json!({"type": "stdin", "data": base64("typed")})).await;
    first.expect(json!({"type": "stdout", "data": "typed"})).await;
    second.send(json!({"type": "close_stdin"})).await;
    first.expect(json!({"type": "stdout", "data": "two\n"})).await;
    first.expect(exit(0)).await;

    // Even when it has ended; but it is not listed, and cannot be signalled.
    let mut late = capsule.socket("processes/loop/stream").await;
    late.next().await;
    for _ in 0..3 {
        assert_eq!(late.next().await["type"], "stdout");
    }
    late.expect(exit(0)).await;
    assert_eq!((capsule.list().await.len(), capsule.kill("loop").await), (0, 404));
    let mut nobody = capsule.socket("processes/nobody/stream").await;
    nobody.fails(CloseCode::Policy).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_process_in_the_background_is_found_by_its_tag(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let (server, exec) = (&installation.server, format!("{}/exec", capsule.path));
    let body = json!({"cmd": "echo up; sleep 100", "background": true, "tag": "web"});
    let answer = server.post(&exec, &capsule.who, body.clone()).await.ok(202);
    assert_eq!((&answer["tag"], &answer["cmd"]), (&json!("web"), &body["cmd"]));
    assert!(answer["pid"].is_u64() && capsule.path.ends_with(answer["sandbox_id"].as_str().unwrap()));
    assert_eq!(server.post(&exec, &capsule.who, body).await.error(), (409, "conflict"));
    for tag in ["", "12", "a b", "a/b", &"x".repeat(65)] {
        let body = json!({"cmd": "true", "background": true, "tag": tag});
        let refused = server.post(&exec, &capsule.who, body).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{tag:?}");
        assert!(refused.message().starts_with("tag: "));
    }
    let mut socket = capsule.socket("processes/web/stream").await;
    socket.next().await;
    socket.expect(json!({"type": "stdout", "data": "up\n"})).await;
    assert_eq!(capsule.kill("web?signal=SIGUSR2").await, 204);
    socket.expect(json!({"type": "stderr", "data": "signal 12\n"})).await;
    assert_eq!((capsule.kill("web?signal=SIGNOTHING").await, capsule.kill("a%20b").await), (400, 400));
    assert_eq!(capsule.kill("web").await, 204);
    socket.expect(exit(137)).await;
    assert_eq!((capsule.kill("web").await, capsule.kill("4294967295").await), (404, 404));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_terminal_is_started_resized_and_taken_up_again(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let mut terminal = capsule.socket("pty").await;
    terminal.send(json!({"type": "start", "cmd": "cat", "cols": 100, "rows": 30, "tag": "term"})).await;
    let started = terminal.next().await;
    assert_eq!((&started["type"], &started["tag"]), (&json!("started"), &json!("term")));
    terminal.send(json!({"type": "input", "data": base64("ls\u{3}")})).await;
    terminal.expect(json!({"type": "output", "data": base64("ls\u{3}")})).await;
    terminal.send(json!({"type": "resize", "cols": 0, "rows": 10})).await;
    let complaint = terminal.next().await;
    assert_eq!((&complaint["type"], &complaint["fatal"]), (&json!("error"), &json!(false)));
    terminal.send(json!({"type": "resize", "cols": 90, "rows": 10})).await;
    terminal.expect(json!({"type": "output", "data": base64("[90x10]\n")})).await;
    assert_eq!(capsule.list().await[0]["terminal"], true);
    terminal.vanish();

    let mut terminal = capsule.socket("pty").await;
    terminal.send(json!({"type": "connect", "tag": "term"})).await;
    terminal.expect(started).await;
    terminal.expect(json!({"type": "output", "data": base64("ls\u{3}")})).await;
    terminal.expect(json!({"type": "output", "data": base64("[90x10]\n")})).await;
    terminal.send(json!({"type": "kill"})).await;
    terminal.expect(json!({"type": "exit", "exit_code": 137})).await;
    assert_eq!(terminal.ended().await.close.map(|(code, _)| code), Some(CloseCode::Normal));

    let mut nobody = capsule.socket("pty").await;
    nobody.send(json!({"type": "connect", "tag": "nobody"})).await;
    nobody.fails(CloseCode::Policy).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_that_does_not_read_stops_its_process_and_loses_nothing(pool: PgPool) {
    const FLOOD: usize = 60_000_000;
    let installation = Installation::start(pool).await;
    let capsule = Capsule::new(&installation).await;
    let (mut slow, _) = capsule.run(json!({"cmd": format!("flood {FLOOD}"), "tag": "flood"})).await;
    let id = capsule.path.rsplit('/').next().unwrap();
    // Others get their share meanwhile.
    for _ in 0..20 {
        assert_eq!(installation.prints(&capsule.who, id, "sleep 0.05; echo on").await, "on\n");
    }
    assert_eq!(capsule.list().await.len(), 1, "it did not wait for its reader");
    let mut read = 0;
    loop {
        let frame = slow.next().await;
        match frame["type"].as_str().unwrap() {
            "stdout" => read += frame["data"].as_str().unwrap().len(),
            "exit" => break,
            other => panic!("unexpected {other}"),
        }
    }
    assert_eq!(read, FLOOD);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_socket_ends_with_a_reason_when_its_capsule_does(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let who = installation.server.token("ada").await;
    for end in ["crash", "pause", "destroy", "host"] {
        let id = installation.running(&who).await;
        let path = format!("/v1/capsules/{id}");
        let mut stream = installation.server.socket(&format!("{path}/exec/stream"), &who).await;
        stream.send(json!({"type": "start", "cmd": "cat", "tag": "one"})).await;
        stream.next().await;
        let mut follower = installation.server.socket(&format!("{path}/processes/one/stream"), &who).await;
        follower.next().await;
        let mut terminal = installation.server.socket(&format!("{path}/pty"), &who).await;
        terminal.send(json!({"type": "start", "cmd": "cat"})).await;
        terminal.next().await;
        match end {
            "crash" => assert!(installation.host.crash_machine(id.parse().unwrap())),
            "pause" => {
                drop(installation.server.post(&format!("{path}/pause"), &who, json!({})).await.ok(200))
            }
            "destroy" => assert_eq!(installation.server.delete(&path, &who).await.status, 204),
            _ => installation.lose_host().await,
        }
        for socket in [&mut stream, &mut follower, &mut terminal] {
            let ended = tokio::time::timeout(Duration::from_secs(5), socket.fails(CloseCode::Error));
            let message = ended.await.unwrap_or_else(|_| panic!("no end after {end}"));
            assert!(!message.is_empty(), "{end}");
        }
    }
    eventually("nothing runs any more", || async { installation.host.world().execs_running() <= 8 }).await;
}
