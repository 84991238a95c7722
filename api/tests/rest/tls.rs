//! REST, dashboard and previews over TLS: choice and reload of certificates, and what TLS must not change.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, pki_types::CertificateDer};
use serde_json::json;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use wrenn_agent::sim::SimOptions;
use wrenn_api::{RunError, Server, ServerConfig};
use wrenn_base::{Chain, Clock, Rng};
use wrenn_testkit::{
    server::ServerThread,
    wait::{PATIENCE, eventually},
};

use crate::support::{
    As, TestServer, client, config,
    host::Installation,
    tls::{self, Authority, Files, certificate_of, connect},
};

/// Names of a server that its clients reach by address.
const LOCAL: [&str; 2] = ["127.0.0.1", "localhost"];

async fn server_with(pool: &PgPool, authority: &Authority, files: &[&Files]) -> TestServer {
    let config = ServerConfig { tls: Some(tls::config(files)), ..config(pool) };
    TestServer::start_trusted(pool.clone(), config, Clock::process(), Some(authority.client())).await
}

async fn installation_with(pool: PgPool, authority: &Authority, files: &Files) -> Installation {
    let config = ServerConfig { tls: Some(tls::config(&[files])), ..config(&pool) };
    Installation::start_trusted(pool, SimOptions::default(), config, Some(authority.client())).await
}

/// Returns the certificate that the server shows for a name.
async fn shown(addr: SocketAddr, name: &str, client: &ClientConfig) -> CertificateDer<'static> {
    certificate_of(&connect(addr, name, client).await.unwrap())
}

/// Returns the error of a server that does not start.
async fn refused(config: ServerConfig) -> RunError {
    let (_thread, error) = ServerThread::start(|ready, _| async move {
        let started = Server::start(config, Clock::process(), Rng::process()).await;
        let _ = ready.send(started.map(drop).expect_err("it must not start"));
    })
    .await;
    error
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_name_that_a_client_asks_for_chooses_the_certificate(pool: PgPool) {
    let authority = Authority::new();
    let (first, second) = (
        authority.pair(&["wrenn.example.com", "127.0.0.1"]),
        authority.pair(&["*.preview.example.com", "*.example.com"]),
    );
    let (first_files, second_files) = (Files::new(&first), Files::new(&second));
    let server = server_with(&pool, &authority, &[&first_files, &second_files]).await;
    let client = authority.client();
    for (name, pair) in [
        ("wrenn.example.com", &first),
        ("127.0.0.1", &first),
        ("8000-cl-1.preview.example.com", &second),
        ("api.example.com", &second),
    ] {
        assert_eq!(shown(server.addr, name, &client).await, pair.der, "{name}");
    }
    // The first pair, which is not for this name: the client's check fails, and not the server's choice.
    assert!(connect(server.addr, "other.test", &client).await.is_err());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn only_http_1_is_offered(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let server = server_with(&pool, &authority, &[&files]).await;
    for (offers, chosen) in
        [(vec!["h2", "http/1.1"], Some("http/1.1")), (vec![], None), (vec!["http/1.1"], Some("http/1.1"))]
    {
        let mut client = authority.client();
        client.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
        let stream = connect(server.addr, "localhost", &client).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes), "{offers:?}");
    }
    let mut validator = authority.client();
    validator.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(connect(server.addr, "localhost", &validator).await.is_err(), "nothing was ordered");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn clients_that_speak_no_tls_or_nothing_cost_nobody_else_anything(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let server = server_with(&pool, &authority, &[&files]).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    for garbage in ["GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "\u{16}\u{3}\u{1}", "\0\0\0\0"] {
        let mut connection = TcpStream::connect(server.addr).await.unwrap();
        connection.write_all(garbage.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("the connection ends");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert_eq!(server.get("/v1/me", &As::Nobody).await.status, 401);
    drop(silent);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_pair_is_replaced_under_load_without_one_broken_request(pool: PgPool) {
    const CLIENTS: usize = 12;
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let installation = installation_with(pool, &authority, &files).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let id = installation.running(&ada).await;

    // Open before the first replacement, and still in use after the last.
    let mut socket = server.socket(&format!("/v1/capsules/{id}/exec/stream"), &ada).await;
    socket.send(json!({"type": "start", "cmd": "cat"})).await;
    assert_eq!(socket.next().await["type"], "start");

    let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (ends, answered, trust) = (ends.clone(), answered.clone(), authority.client());
            let url = server.url("/v1/me");
            tokio::spawn(async move {
                // Half of them connect for each request, half keep their connection.
                let idle = if number % 2 == 0 { 0 } else { 1 };
                let client = client(Some(&trust)).pool_max_idle_per_host(idle).build().unwrap();
                while !ends.load(Ordering::Relaxed) {
                    let answer = client.get(&url).send().await.expect("a request is answered");
                    assert_eq!(answer.status(), 401);
                    answer.bytes().await.expect("the answer is whole");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let trust = authority.client();
    for round in 0..20 {
        let pair = authority.pair(&LOCAL);
        let before = answered.load(Ordering::Relaxed);
        // The key does not fit for a while, whichever file comes first; and neither file appears as a whole.
        match round % 3 {
            0 => files.write_key(&pair.key),
            1 => files.rename_chain(&pair.chain),
            _ => files.write_chain(&pair.chain[..pair.chain.len() / 2]),
        }
        eventually("clients work meanwhile", || async {
            answered.load(Ordering::Relaxed) >= before + CLIENTS as u64
        })
        .await;
        files.write_chain(&pair.chain);
        files.write_key(&pair.key);
        eventually("the new pair is used", || async {
            shown(server.addr, "localhost", &trust).await == pair.der
        })
        .await;
        socket.send(json!({"type": "stdin", "data": BASE64_STANDARD.encode(format!("{round}\n"))})).await;
        socket.expect(json!({"type": "stdout", "data": format!("{round}\n")})).await;
    }
    ends.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request of this client was broken");
    }
    assert!(answered.load(Ordering::Relaxed) > 20 * CLIENTS as u64);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_broken_pair_is_not_used_and_the_next_good_one_is(pool: PgPool) {
    let authority = Authority::new();
    let (one, two) = (authority.pair(&LOCAL), authority.pair(&LOCAL));
    let files = Files::new(&one);
    let server = server_with(&pool, &authority, &[&files]).await;
    let trust = authority.client();
    files.write_chain("nonsense");
    std::fs::remove_file(files.key()).unwrap();
    for _ in 0..20 {
        assert_eq!(shown(server.addr, "localhost", &trust).await, one.der);
        assert_eq!(server.get("/v1/me", &As::Nobody).await.status, 401);
    }
    files.write_key(&two.key);
    files.write_chain(&two.chain);
    eventually("the new pair is used", || async { shown(server.addr, "localhost", &trust).await == two.der })
        .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_whose_certificates_cannot_be_used_does_not_start(pool: PgPool) {
    let authority = Authority::new();
    let (one, two) = (authority.pair(&LOCAL), authority.pair(&LOCAL));
    let (good, bad) = (Files::new(&one), Files::new(&two));
    bad.write_key(&one.key);
    let with_tls = |tls| ServerConfig { tls: Some(tls), ..config(&pool) };
    let error = refused(with_tls(tls::config(&[&good, &bad]))).await;
    let text = Chain(&error).to_string();
    assert!(text.contains(&bad.key().display().to_string()) && text.contains("does not belong"), "{text}");
    std::fs::remove_file(bad.chain()).unwrap();
    let text = Chain(&refused(with_tls(tls::config(&[&bad]))).await).to_string();
    assert!(text.contains("cannot read") && text.contains("fullchain.pem"), "{text}");
    let plain = ServerConfig { http_redirect_addr: Some("127.0.0.1:0".into()), ..config(&pool) };
    assert!(matches!(refused(plain).await, RunError::RedirectWithoutTls));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn sockets_commands_and_previews_work_as_without_tls(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&["127.0.0.1", "localhost"]));
    let installation = installation_with(pool, &authority, &files).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let id = installation.running(&ada).await;
    let mut socket = server.socket(&format!("/v1/capsules/{id}/exec/stream"), &ada).await;
    socket.send(json!({"type": "start", "cmd": "echo in"})).await;
    assert_eq!(socket.next().await["type"], "start");
    socket.expect(json!({"type": "stdout", "data": "in\n"})).await;

    // A client that leaves takes its command with it, whether it says so or not.
    let world = installation.host.world();
    let exec = server
        .request("POST", &format!("/v1/capsules/{id}/exec"), &ada)
        .json(&json!({"cmd": "sleep 600", "timeout_sec": 600}));
    tokio::select! {
        answer = exec.send() => panic!("{answer:?}"),
        () = eventually("the command runs", || async { world.execs_running() == 1 }) => {}
    };
    eventually("the command is gone", || async { world.execs_running() == 0 }).await;

    let shown = server.get(&format!("/v1/capsules/{id}"), &ada).await.ok(200);
    let port = server.addr.port();
    assert_eq!(shown["preview_url"], format!("https://{{port}}-{id}.localhost:{port}"));
    let token = shown["preview_token"].as_str().unwrap();
    let (program, asked) = echo_program().await;
    let host = format!("{program}-{id}.localhost");
    let redirect = client(server.trust.as_ref()).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let link = redirect.get(server.url(&format!("/?wrenn_token={token}"))).header("host", &host).send().await;
    let link = link.unwrap();
    let cookie = link.headers()["set-cookie"].to_str().unwrap();
    assert!(link.status() == 302 && cookie.contains("; Secure"), "{cookie}");
    assert!(!link.headers().contains_key("strict-transport-security"));

    // An upgraded connection carries bytes both ways.
    // No client accepts a wildcard for a top-level domain, so nothing is checked here.
    let mut stream = connect(server.addr, &host, &tls::unchecked()).await.unwrap();
    let head = format!(
        "GET /socket HTTP/1.1\r\nhost: {host}\r\nx-wrenn-token: {token}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream.write_all(b"back and forth").await.unwrap();
    let mut echoed = [0; 14];
    timeout(PATIENCE, stream.read_exact(&mut echoed)).await.unwrap().unwrap();
    assert_eq!(&echoed, b"back and forth");
    let asked = asked.await.unwrap();
    assert!(asked.contains("x-forwarded-proto: https\r\n"), "{asked}");
}

/// A program on this machine that accepts one upgrade, reports its head, and sends back what it gets.
async fn echo_program() -> (u16, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, question) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = asked.send(read_head(&mut connection).await);
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        connection.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = connection.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    (port, question)
}

async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("a head"));
    }
    String::from_utf8(head).unwrap()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn browsers_are_sent_to_tls_and_kept_there(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let config = ServerConfig {
        tls: Some(tls::config(&[&files])),
        http_redirect_addr: Some("127.0.0.1:0".into()),
        public_url: Some("https://wrenn.example.com:8443".parse().unwrap()),
        ..config(&pool)
    };
    let server =
        TestServer::start_trusted(pool.clone(), config, Clock::process(), Some(authority.client())).await;
    let answer = server.get("/v1/me", &As::Nobody).await;
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");
    let page = server.get("/capsules", &As::Nobody).await;
    assert!(page.headers.contains_key("strict-transport-security"));

    let plain = client(None).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let redirect = format!("http://{}", server.redirect_addr.unwrap());
    for (host, path, location) in [
        ("wrenn.example.com", "/v1/me?a=%20b", "https://wrenn.example.com:8443/v1/me?a=%20b"),
        (
            "8000-cl-1.preview.example.com:80",
            "//x/../y",
            "https://8000-cl-1.preview.example.com:8443//x/../y",
        ),
        ("[::1]:80", "/", "https://[::1]:8443/"),
    ] {
        for method in ["GET", "POST"] {
            let request = plain.request(method.parse().unwrap(), format!("{redirect}{path}"));
            let answer = request.header("host", host).body("x").send().await.unwrap();
            assert_eq!(answer.status(), 308, "{host}");
            let given = answer.headers()["location"].to_str().unwrap();
            // The client tidies the path up before it sends it.
            assert!(given == location || given == location.replace("//x/../y", "//y"), "{given}");
        }
    }
    for head in [
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@evil.test\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut connection = TcpStream::connect(server.redirect_addr.unwrap()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"), "{head}: {answer}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_of_this_machine_is_not_bound_to_tls(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let mut server = server_with(&pool, &authority, &[&files]).await;
    let answer = server.get("/v1/me", &As::Nobody).await;
    assert!(!answer.headers.contains_key("strict-transport-security"));
    let link = server.setup_link.clone();
    assert!(link.is_none_or(|link| link.starts_with("https://")));
    server.stop();
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn sockets_that_are_open_already_are_used(pool: PgPool) {
    let authority = Authority::new();
    let files = Files::new(&authority.pair(&LOCAL));
    let open = || Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let (https, http) = (open(), open());
    let config = ServerConfig {
        http_addr: "203.0.113.1:443".into(),
        http_socket: Some(https.clone()),
        http_redirect_socket: Some(http.clone()),
        tls: Some(tls::config(&[&files])),
        ..config(&pool)
    };
    let start = || {
        let trust = Some(authority.client());
        TestServer::start_trusted(pool.clone(), config.clone(), Clock::process(), trust)
    };
    let server = start().await;
    assert_eq!(server.addr, https.local_addr().unwrap());
    assert_eq!(server.redirect_addr, http.local_addr().ok());
    assert_eq!(server.get("/v1/me", &As::Nobody).await.status, 401);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();

    // A client that connects while there is no server waits for the next one.
    let trust = authority.client();
    let waiting = tokio::spawn({
        let addr = https.local_addr().unwrap();
        async move { connect(addr, "localhost", &trust).await.map(drop) }
    });
    let _server = start().await;
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}
