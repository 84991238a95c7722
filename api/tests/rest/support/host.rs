//! A simulated host for a test: the real agent over pretended machines, attached to the test's server.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;
use wrenn_agent::sim::{SimHost, SimIdentity, SimOptions};
use wrenn_api::{ServerConfig, bootstrap};
use wrenn_store::Store;

use super::{As, TestServer};

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server and one host, connected by a socket in a folder of their own.
pub(crate) struct Installation {
    pub(crate) host: SimHost,
    pub(crate) server: TestServer,
    config: ServerConfig,
    _folder: Arc<TempDir>,
}

impl Installation {
    pub(crate) async fn start(pool: PgPool) -> Self {
        Self::start_with(pool, SimOptions::default()).await
    }

    pub(crate) async fn start_with(pool: PgPool, options: SimOptions) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        let grpc_addr = format!("unix:{}", folder.path().join("agents.sock").display());
        let config = ServerConfig { grpc_addr: grpc_addr.clone(), ..super::config(&pool) };
        let server = TestServer::start_with(pool.clone(), config.clone()).await;

        let store = Store::from_pool(pool);
        let admin =
            bootstrap::ensure_admin(&store, "root@example.org", "correct horse").await.expect("an admin");
        let record = bootstrap::ensure_local_host(&store, &admin).await.expect("a host's record");
        let token = bootstrap::issue_registration_token(&store, record).await.expect("a token");
        let addr = grpc_addr.parse().expect("an address");
        let identity = SimIdentity::RegistrationToken(token);
        let host = SimHost::start(addr, identity, options).await.expect("the host starts");
        let attached =
            tokio::time::timeout(PATIENCE, host.attached()).await.expect("the host attaches in time");
        assert!(attached, "the host may attach");
        Self { host, server, config, _folder: folder }
    }

    /// Ends the server and starts another one on the same database; the agent dials that one.
    pub(crate) async fn restart_server(self) -> Self {
        let Self { host, server, config, _folder } = self;
        let pool = server.pool.clone();
        let ended = tokio::task::spawn_blocking(move || drop(server));
        ended.await.expect("the server ends");
        let server = TestServer::start_with(pool, config.clone()).await;
        Self { host, server, config, _folder }
    }

    /// Creates a capsule that runs and returns its id.
    pub(crate) async fn running(&self, who: &As) -> String {
        let capsule = self.server.post("/v1/capsules", who, json!({"wait": true})).await.ok(201);
        assert_eq!(capsule["status"], "running", "{capsule}");
        capsule["id"].as_str().expect("a capsule has an id").to_owned()
    }

    /// What a command prints in a capsule.
    pub(crate) async fn prints(&self, who: &As, id: &str, cmd: &str) -> String {
        let done = self.server.post(&format!("/v1/capsules/{id}/exec"), who, json!({"cmd": cmd})).await;
        done.text("stdout")
    }

    /// Ends the agent and waits until the server knows.
    pub(crate) async fn lose_host(&mut self) {
        self.host.kill_agent().await;
        let server = &self.server;
        eventually("the server notices", || async {
            server.get("/health", &As::Nobody).await.body["hosts"]["online"] == 0
        })
        .await;
    }
}

/// Waits until something is true, for a bounded time.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_true: impl FnMut() -> F) {
    let wait = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
