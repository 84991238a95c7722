//! A real server for a test: its own database, the shared Redis, a port of its own.

pub(crate) mod host;
pub(crate) mod socket;

use std::{net::SocketAddr, thread::JoinHandle, time::Duration};

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgPool};
use tokio::sync::oneshot;
use wrenn_api::{FaultInjection, ObjectsLocation, Server, ServerConfig};

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
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The configuration for a database made by `#[sqlx::test]`.
pub(crate) fn config(pool: &PgPool) -> ServerConfig {
    ServerConfig {
        preview_url: None,
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
    }
}

impl TestServer {
    pub(crate) async fn start(pool: PgPool) -> Self {
        let config = config(&pool);
        Self::start_with(pool, config).await
    }

    pub(crate) async fn start_with(pool: PgPool, config: ServerConfig) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell_addr, addr) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = Server::start(config).await.expect("the server starts");
                tell_addr.send(server.http_addr()).expect("the test waits for the address");
                let shutdown = async { drop(stopped.await) };
                server.run(shutdown).await.expect("the server ends well");
            });
        });
        let addr = addr.await.expect("the server says its address");
        let client = reqwest::Client::builder().build().expect("a client can be made");
        Self { addr, pool, client, stop: Some(stop), thread: Some(thread) }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
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

    /// Makes an API key for a signed-in user.
    pub(crate) async fn key(&self, who: &As) -> As {
        let key = self.post("/v1/api-keys", who, json!({})).await;
        As::Key(key.text("key"))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it runs").expect("the server thread ends well");
        }
    }
}
