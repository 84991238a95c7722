//! Files over HTTP, on a host whose machines are simulated: what passes, what is refused, and that nothing is left.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use wrenn_agent::vmm::ExitReason;
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, host::Installation};

const PATIENCE: Duration = Duration::from_secs(20);

/// A capsule that runs, and whoever uses it.
struct Capsule {
    installation: Installation,
    key: As,
    id: String,
}

impl Capsule {
    async fn start(pool: PgPool) -> Self {
        let installation = Installation::start(pool).await;
        let key = installation.server.key(&installation.server.token("ada").await).await;
        let id = installation.running(&key).await;
        Self { installation, key, id }
    }

    fn path(&self, operation: &str) -> String {
        format!("/v1/capsules/{}/files/{operation}", self.id)
    }

    async fn post(&self, operation: &str, body: Value) -> Answer {
        self.installation.server.post(&self.path(operation), &self.key, body).await
    }

    fn request(&self, operation: &str) -> reqwest::RequestBuilder {
        self.installation.server.request("POST", &self.path(operation), &self.key)
    }

    async fn upload(&self, operation: &str, form: Form) -> Answer {
        self.installation.server.send(self.request(operation).multipart(form)).await
    }

    async fn write(&self, path: &str, content: impl Into<Vec<u8>>) -> Answer {
        self.upload("write", form(path, content)).await
    }

    async fn read(&self, path: &str) -> reqwest::Response {
        self.request("read").json(&json!({"path": path})).send().await.unwrap()
    }

    async fn exists(&self, path: &str) -> bool {
        self.post("exists", json!({"path": path})).await.ok(200)["exists"] == true
    }

    /// A connection on which a request was begun, whose body is still to be sent.
    async fn begin_upload(&self, operation: &str, headers: &str) -> TcpStream {
        let As::Key(key) = &self.key else { panic!("a key") };
        let mut socket = TcpStream::connect(self.installation.server.addr).await.unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: test\r\nx-api-key: {key}\r\n\
             content-type: multipart/form-data; boundary=b\r\n{headers}\r\n",
            self.path(operation)
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket
    }
}

fn form(path: &str, content: impl Into<Vec<u8>>) -> Form {
    Form::new().text("path", path.to_owned()).part("file", Part::bytes(content.into()).file_name("upload"))
}

fn pattern(bytes: usize) -> Vec<u8> {
    // With everything in it that could be taken for the end of a part.
    b"\r\n--\r\n--boundary\r\r\n-\0\xff".iter().copied().cycle().take(bytes).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_written_is_read(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    for (operation, bytes) in [("write", 0), ("write", 1), ("write", 3_000_000), ("stream/write", 7_000_001)]
    {
        let content = pattern(bytes);
        let path = format!("/srv/{bytes}");
        capsule.upload(operation, form(&path, content.clone())).await.ok(204);
        for operation in ["read", "stream/read"] {
            let request = capsule.request(operation).header("accept-encoding", "gzip");
            let response = request.json(&json!({"path": path})).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "application/octet-stream");
            assert_eq!(response.headers()["content-length"], bytes.to_string());
            assert!(!response.headers().contains_key("content-encoding"));
            assert!(response.bytes().await.unwrap() == content, "{bytes} bytes");
        }
    }
    let entry = capsule.post("stat", json!({"path": "/srv/1"})).await.ok(200)["entry"].clone();
    let expected = json!({
        "name": "1", "path": "/srv/1", "type": "file", "size": 1, "mode": 0o644, "permissions": "-rw-r--r--",
        "owner": "root", "group": "root", "modified_at": 1_750_000_000, "symlink_target": null,
    });
    assert_eq!(entry, expected);
    let listed = capsule.post("list", json!({"path": "/srv"})).await.ok(200);
    assert_eq!((listed["entries"].as_array().unwrap().len(), &listed["truncated"]), (4, &json!(false)));
    assert_eq!(listed["entries"][1], expected);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn files_are_made_moved_and_removed(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let made = capsule.post("mkdir", json!({"path": "/srv", "user": "root"})).await.ok(200);
    assert_eq!(
        (&made["entry"]["type"], &made["entry"]["permissions"]),
        (&json!("directory"), &json!("drwxr-xr-x"))
    );
    capsule.write("/srv/a", "a").await.ok(204);
    capsule.write("/srv/b", "b").await.ok(204);
    let there = capsule.post("exists", json!({"path": "/srv"})).await.ok(200);
    assert_eq!(there, json!({"exists": true, "type": "directory"}));
    assert_eq!(capsule.post("exists", json!({"path": "/srv/c"})).await.ok(200), json!({"exists": false}));

    let taken = capsule.post("rename", json!({"from": "/srv/a", "to": "/srv/b"})).await;
    assert_eq!(taken.error(), (409, "conflict"));
    let body = json!({"from": "/srv/a", "to": "/srv/b", "overwrite": true});
    assert_eq!(capsule.post("move", body).await.ok(200)["entry"]["path"], "/srv/b");
    assert_eq!(capsule.read("/srv/b").await.text().await.unwrap(), "a");
    capsule.post("remove", json!({"path": "/srv"})).await.ok(204);
    assert!(!capsule.exists("/srv/b").await);
    assert_eq!(capsule.post("remove", json!({"path": "/srv"})).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn failures_have_the_codes_of_the_contract(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    capsule.write("/dir/file", "content").await.ok(204);
    for (operation, body, expected) in [
        ("read", json!({"path": "/missing"}), (404, "not_found")),
        ("read", json!({"path": "/dir"}), (400, "invalid_request")),
        ("read", json!({"path": "/forbidden/x"}), (403, "forbidden")),
        ("read", json!({"path": ""}), (400, "invalid_request")),
        ("read", json!({}), (400, "invalid_request")),
        ("read", json!({"path": "/dir/file", "user": "nobody-here"}), (400, "invalid_request")),
        ("read", json!({"path": "/dir/file", "user": "a\u{0}"}), (400, "invalid_request")),
        ("read", json!({"path": "/dir/file", "depth": 1}), (400, "invalid_request")),
        ("stat", json!({"path": "/missing"}), (404, "not_found")),
        ("list", json!({"path": "/missing"}), (404, "not_found")),
        ("list", json!({"path": "/dir/file"}), (400, "invalid_request")),
        ("list", json!({"path": "/dir", "depth": 0}), (400, "invalid_request")),
        ("list", json!({"path": "/dir", "depth": 257}), (400, "invalid_request")),
        ("rename", json!({"from": "/missing", "to": "/x"}), (404, "not_found")),
    ] {
        let answer = capsule.post(operation, body.clone()).await;
        assert_eq!(answer.error(), expected, "{operation} {body}");
    }
    for (path, expected) in [
        ("/dir", (400, "invalid_request")),
        ("/forbidden/x", (403, "forbidden")),
        ("/full/x", (409, "invalid_state")),
        ("/babble", (502, "agent_error")),
    ] {
        assert_eq!(capsule.write(path, vec![0; 1_000_000]).await.error(), expected, "{path}");
    }
    assert!(capsule.write("/full/x", "x").await.message().contains("disk is full"));

    let watched = capsule.installation.server.get(&capsule.path("watch?path=/missing"), &capsule.key).await;
    assert_eq!(watched.error(), (404, "not_found"));
    let watched = capsule.installation.server.get(&capsule.path("watch"), &capsule.key).await;
    assert!(watched.message().contains("path"));

    let stranger = capsule.installation.server.token("eve").await;
    let path = capsule.path("read");
    let answer = capsule.installation.server.post(&path, &stranger, json!({"path": "/dir/file"})).await;
    assert_eq!(answer.error(), (404, "not_found"));
    let answer = capsule.installation.server.post(&path, &As::Nobody, json!({"path": "/dir/file"})).await;
    assert_eq!(answer.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_form_that_is_not_right_is_refused_naming_the_part(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let file = || Part::bytes(vec![1; 300_000]).file_name("f");
    let form = Form::new;
    for (form, word) in [
        (form().part("file", file()).text("path", "/x"), "path: must come before"),
        (form().part("file", file()), "path"),
        (form().text("path", "/x"), "file: is missing"),
        (form().text("path", "/x").text("path", "/y").part("file", file()), "path: must be in the form once"),
        (
            form().text("path", "/x").part("file", file()).part("file", file()),
            "file: must be in the form once",
        ),
        (form().text("path", "/x").part("file", file()).text("user", "root"), "user: must come before"),
        (form().text("path", "/x").part("file", file()).text("more", "x"), "`more`"),
        (form().text("other", "x").text("path", "/x").part("file", file()), "`other`"),
        (form().part("path", Part::bytes(b"/\xff".to_vec())).part("file", file()), "path: must be UTF-8"),
        (form().text("path", "p".repeat(20_000)).part("file", file()), "path: must have at most"),
    ] {
        let answer = capsule.upload("write", form).await;
        assert_eq!(answer.error(), (400, "invalid_request"));
        assert!(answer.message().contains(word), "{word}: {}", answer.message());
    }
    for (content_type, body, word) in [
        (None, "x", "multipart/form-data"),
        (Some("application/json"), "{}", "multipart/form-data"),
        (Some("multipart/form-data"), "x", "oundary"),
        (Some("multipart/form-data; boundary=b"), "no parts", "form"),
        (Some("multipart/form-data; boundary=b"), "--b\r\ngarbage\r\n\r\n", "form"),
        (Some("multipart/form-data; boundary=b"), "", "form"),
    ] {
        let server = &capsule.installation.server;
        let answer = server.post_raw(&capsule.path("write"), &capsule.key, content_type, body.into()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{content_type:?} {body}");
        assert!(answer.message().contains(word), "{word}: {}", answer.message());
    }
    assert!(!capsule.exists("/x").await, "nothing was written");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn write_has_a_limit_and_stream_write_has_none(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let large = vec![7; 101 * 1024 * 1024];
    let answer = capsule.write("/large", large.clone()).await;
    assert_eq!(answer.error(), (413, "too_large"));
    assert!(answer.message().contains("stream/write"), "{}", answer.message());
    assert!(!capsule.exists("/large").await);
    capsule.upload("stream/write", form("/large", large.clone())).await.ok(204);
    let read = capsule.read("/large").await.bytes().await.unwrap();
    assert!(read == large);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_cut_upload_leaves_nothing(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let parts = "--b\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\n/cut\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nsome of the content";
    let in_use = || async { capsule.installation.host.world().file_sessions() };
    for headers in ["content-length: 100000\r\n", "transfer-encoding: chunked\r\n"] {
        let mut socket = capsule.begin_upload("stream/write", headers).await;
        let body = if headers.contains("chunked") {
            format!("{:x}\r\n{parts}\r\n", parts.len())
        } else {
            parts.to_owned()
        };
        socket.write_all(body.as_bytes()).await.unwrap();
        eventually("the guest takes it", || async { in_use().await == 1 }).await;
        drop(socket);
        eventually("the guest is told that nobody sends any more", || async { in_use().await == 0 }).await;
        assert!(!capsule.exists("/cut").await);
    }
    // A form that ends before it should, on a connection that goes on.
    let answer = capsule
        .installation
        .server
        .post_raw(&capsule.path("write"), &capsule.key, Some("multipart/form-data; boundary=b"), parts.into())
        .await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    assert!(!capsule.exists("/cut").await);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_guest_that_does_not_take_data_slows_the_client(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let mut socket = capsule.begin_upload("stream/write", "content-length: 1000000000\r\n").await;
    let parts = "--b\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\n/slow/x\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
    socket.write_all(parts.as_bytes()).await.unwrap();
    // It goes on until everything on the way is full: less than a hundredth of what there is to send.
    let piece = vec![0; 1024 * 1024];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(2), socket.write(&piece)).await {
        sent += written.unwrap();
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken");
    }
    let world = capsule.installation.host.world();
    world.crash(capsule.id.parse().unwrap(), ExitReason::GuestPanic);
    eventually("the session ends with its machine", || async { world.file_sessions() == 0 }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_that_does_not_read_slows_the_guest(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let mut response = capsule.read("/endless").await;
    assert!(!response.headers().contains_key("content-length"));
    let world = capsule.installation.host.world();
    // The guest stands still when everything on the way is full.
    let mut told = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = world.file_bytes_told();
        assert!(now < 64 * 1024 * 1024, "{now} bytes were told");
        if now == told {
            break;
        }
        told = now;
    }
    for _ in 0..100 {
        response.chunk().await.unwrap().expect("it goes on");
    }
    drop(response);
    eventually("the session ends", || async { world.file_sessions() == 0 }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_download_that_fails_breaks_off(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    capsule.write("/shrinking", vec![1; 500_000]).await.ok(204);
    let response = capsule.read("/shrinking").await;
    assert_eq!(response.headers()["content-length"], "500001");
    response.bytes().await.expect_err("a part is not the whole");

    let mut response = capsule.read("/endless").await;
    response.chunk().await.unwrap().expect("it begins");
    capsule.installation.host.world().crash(capsule.id.parse().unwrap(), ExitReason::GuestPanic);
    let rest = async {
        while response.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, rest).await.expect("it ends with its machine");
    ended.expect_err("it does not end as if it were complete");
}

/// A stream of events.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(capsule: &Capsule, query: &str) -> Self {
        let path = capsule.path(&format!("watch?{query}"));
        let request = capsule.installation.server.request("GET", &path, &capsule.key);
        let response = request.header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, text: String::new() }
    }

    /// The next event and its data; none at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with(':') {
                    continue;
                }
                let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            self.text += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn changes_are_told_until_the_capsule_ends(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    capsule.write("/srv/a", "a").await.ok(204);
    let mut events = Events::open(&capsule, "path=/srv&recursive=true").await;
    assert_eq!(events.next().await.unwrap().0, "ready");
    capsule.write("/elsewhere", "x").await.ok(204);
    capsule.write("/srv/b", "b").await.ok(204);
    let change = |kind: &str, path: &str| ("change".to_owned(), json!({"type": kind, "path": path}));
    assert_eq!(events.next().await.unwrap(), change("create", "/srv/b"));
    capsule.write("/srv/a", "changed").await.ok(204);
    assert_eq!(events.next().await.unwrap(), change("write", "/srv/a"));

    capsule.installation.host.world().crash(capsule.id.parse().unwrap(), ExitReason::GuestPanic);
    let (event, data) = events.next().await.unwrap();
    assert_eq!((event.as_str(), &data["code"]), ("error", &json!("agent_error")));
    assert!(!data["message"].as_str().unwrap().is_empty());
    assert!(events.next().await.is_none(), "nothing follows an error");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn whoever_leaves_ends_the_session(pool: PgPool) {
    let capsule = Capsule::start(pool).await;
    let world = capsule.installation.host.world();
    let events = Events::open(&capsule, "path=/").await;
    let download = capsule.read("/endless").await;
    assert_eq!(world.file_sessions(), 2);
    drop((events, download));
    eventually("both end", || async { world.file_sessions() == 0 }).await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_paused_capsule_is_resumed_for_its_files_if_it_is_to_be(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    for (auto_resume, status) in [(true, 204), (false, 409)] {
        let body = json!({"wait": true, "auto_resume": auto_resume});
        let id = installation.server.post("/v1/capsules", &key, body).await.ok(201)["id"].clone();
        let path = format!("/v1/capsules/{}", id.as_str().unwrap());
        installation.server.post(&format!("{path}/pause"), &key, json!({})).await.ok(200);
        let request = installation.server.request("POST", &format!("{path}/files/write"), &key);
        let answer = installation.server.send(request.multipart(form("/srv/a", "a"))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
