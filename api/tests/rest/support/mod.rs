//! A real server for a test: its own database, the shared Redis, a port of its own.

pub(crate) mod events;
pub(crate) mod host;
pub(crate) mod pebble;
pub(crate) mod provider;
pub(crate) mod receiver;
pub(crate) mod socket;
pub(crate) mod tls;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgPool};
use tokio::sync::oneshot;
use wrenn_api::{FaultInjection, ObjectsLocation, Server, ServerConfig};
use wrenn_base::{Clock, Rng};
use wrenn_testkit::server::{ServerThread, Stopped};

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of an error, after checking that its body has the contract's shape and nothing else.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, &str) {
        let error = &self.body["error"];
        let (code, message) = (error["code"].as_str(), error["message"].as_str());
        let is_exact = self.body.as_object().is_some_and(|body| body.len() == 1)
            && error.as_object().is_some_and(|error| error.len() == 2);
        assert!(is_exact && message.is_some_and(|text| !text.is_empty()), "not an error: {self:?}");
        (self.status, code.expect("an error has a code"))
    }

    #[track_caller]
    pub(crate) fn message(&self) -> &str {
        self.error();
        self.body["error"]["message"].as_str().expect("an error has a message")
    }

    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no text {field} in {self:?}")).to_owned()
    }
}

/// How a request authenticates.
#[derive(Debug, Clone)]
pub(crate) enum As {
    Nobody,
    Token(String),
    Key(String),
}

/// A server in a thread of its own; stopped when dropped.
pub(crate) struct TestServer {
    pub(crate) addr: SocketAddr,
    pub(crate) pool: PgPool,
    /// Trusts the server's certificates, if it has any.
    pub(crate) trust: Option<rustls::ClientConfig>,
    /// Address at which plain HTTP is redirected to TLS, if there is one.
    pub(crate) redirect_addr: Option<SocketAddr>,
    client: reqwest::Client,
    thread: ServerThread,
    /// The link that makes the first administrator.
    pub(crate) setup_link: Option<String>,
}

/// A client that trusts the certificates of a test, or none.
pub(crate) fn client(trust: Option<&rustls::ClientConfig>) -> reqwest::ClientBuilder {
    let trust = trust.cloned().unwrap_or_else(tls::no_roots);
    reqwest::Client::builder().tls_backend_preconfigured(trust)
}

/// The configuration for a database made by `#[sqlx::test]`.
pub(crate) fn config(pool: &PgPool) -> ServerConfig {
    ServerConfig {
        database_url: pool.connect_options().to_url_lossy().into(),
        objects: ObjectsLocation::Memory,
        build_workers: 2,
        build_cache_bytes: 1 << 30,
        redis_url: std::env::var("REDIS_URL").expect("REDIS_URL is set for tests"),
        http_addr: "127.0.0.1:0".into(),
        grpc_addr: "127.0.0.1:0".into(),
        http_workers: 1,
        database_connections: 5,
        // All the time, so that nothing is ever right only because nobody looked.
        inventory_interval: Duration::from_millis(50),
        fault_injection: FaultInjection::On,
        ..ServerConfig::default()
    }
}

impl TestServer {
    pub(crate) async fn start(pool: PgPool) -> Self {
        let config = config(&pool);
        Self::start_with(pool, config).await
    }

    pub(crate) async fn start_with(pool: PgPool, config: ServerConfig) -> Self {
        Self::start_at(pool, config, Clock::process()).await
    }

    /// Starts a server with a clock, which a test may advance.
    pub(crate) async fn start_at(pool: PgPool, config: ServerConfig, clock: Clock) -> Self {
        Self::start_trusted(pool, config, clock, None).await
    }

    /// Starts a server whose certificates its clients check by `trust`.
    pub(crate) async fn start_trusted(
        pool: PgPool,
        config: ServerConfig,
        clock: Clock,
        trust: Option<rustls::ClientConfig>,
    ) -> Self {
        let serve = |ready: oneshot::Sender<_>, stopped: Stopped| async move {
            let server = Server::start(config, clock, Rng::process()).await.expect("the server starts");
            let link = server.setup_link().map(str::to_owned);
            let addresses = (server.http_addr(), server.redirect_addr());
            ready.send((addresses, link)).expect("the test waits for the address");
            server.run(stopped.wait()).await.expect("the server ends well");
        };
        let (thread, ((addr, redirect_addr), setup_link)) = ServerThread::start(serve).await;
        let client = client(trust.as_ref()).build().expect("a client can be made");
        Self { addr, redirect_addr, pool, trust, client, thread, setup_link }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.thread.tell_to_stop();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.trust.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.addr)
    }

    pub(crate) fn request(&self, method: &str, path: &str, who: &As) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, self.url(path));
        match who {
            As::Nobody => request,
            As::Token(token) => request.bearer_auth(token),
            As::Key(key) => request.header("X-API-Key", key),
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the server answers");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the answer can be read");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str, who: &As) -> Answer {
        self.send(self.request("GET", path, who)).await
    }

    pub(crate) async fn delete(&self, path: &str, who: &As) -> Answer {
        self.send(self.request("DELETE", path, who)).await
    }

    pub(crate) async fn post(&self, path: &str, who: &As, body: Value) -> Answer {
        self.send(self.request("POST", path, who).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, who: &As, body: Value) -> Answer {
        self.send(self.request("PATCH", path, who).json(&body)).await
    }

    pub(crate) async fn delete_with(&self, path: &str, who: &As, body: Value) -> Answer {
        self.send(self.request("DELETE", path, who).json(&body)).await
    }

    /// Signs in as `<name>@example.org`.
    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.org"), "password": password});
        self.post("/v1/auth/login", &As::Nobody, body).await
    }

    /// Posts a body as it is, with or without a content type.
    pub(crate) async fn post_raw(
        &self,
        path: &str,
        who: &As,
        content_type: Option<&str>,
        body: String,
    ) -> Answer {
        let mut request = self.request("POST", path, who).body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        self.send(request).await
    }

    /// Signs up `<name>@example.org` and returns the answer's body.
    pub(crate) async fn signup(&self, name: &str) -> Value {
        let body = json!({"email": format!("{name}@example.org"), "password": "correct horse", "name": name});
        self.post("/v1/auth/signup", &As::Nobody, body).await.ok(201)
    }

    /// Signs up and returns the token.
    pub(crate) async fn token(&self, name: &str) -> As {
        As::Token(self.signup(name).await["token"].as_str().expect("a token").to_owned())
    }

    /// Signs the administrator in that [`Installation`](host::Installation) has made.
    pub(crate) async fn root(&self) -> As {
        As::Token(self.login("root", "correct horse").await.text("token"))
    }

    /// Lets a team bring hosts of its own, or takes that back.
    pub(crate) async fn set_byoc(&self, root: &As, team: &str, enabled: bool) {
        let request = self.request("PUT", &format!("/v1/admin/teams/{team}/byoc"), root);
        self.send(request.json(&json!({"enabled": enabled}))).await.ok(204);
    }

    /// Makes an API key for a signed-in user.
    pub(crate) async fn key(&self, who: &As) -> As {
        let key = self.post("/v1/api-keys", who, json!({})).await;
        As::Key(key.text("key"))
    }
}
