//! A simulated host for a test: the real agent over pretended machines, attached to the test's server.

use serde_json::json;
use sqlx::PgPool;
use wrenn_agent::sim::{SimHost, SimOptions};
use wrenn_api::{ServerConfig, bootstrap};
use wrenn_base::{Clock, Rng};
use wrenn_domain::{host::NewHost, ids::TeamId};
use wrenn_store::Store;
use wrenn_testkit::{
    host::{self, AgentsSocket},
    wait::eventually,
};

use super::{As, TestServer};

/// A server and one host, connected by a socket in a folder of their own.
pub(crate) struct Installation {
    pub(crate) host: SimHost,
    pub(crate) server: TestServer,
    config: ServerConfig,
    socket: AgentsSocket,
}

impl Installation {
    pub(crate) async fn start(pool: PgPool) -> Self {
        Self::start_with(pool, SimOptions::default()).await
    }

    pub(crate) async fn start_with(pool: PgPool, options: SimOptions) -> Self {
        let config = super::config(&pool);
        Self::start_trusted(pool, options, config, None).await
    }

    /// Starts a server with a configuration of the test's.
    pub(crate) async fn start_configured(pool: PgPool, config: ServerConfig) -> Self {
        Self::start_trusted(pool, SimOptions::default(), config, None).await
    }

    /// Starts a server with this configuration, whose certificates its clients check by `trust`.
    pub(crate) async fn start_trusted(
        pool: PgPool,
        options: SimOptions,
        config: ServerConfig,
        trust: Option<rustls::ClientConfig>,
    ) -> Self {
        let socket = AgentsSocket::new();
        let config = ServerConfig { grpc_addr: socket.addr(), ..config };
        let server = TestServer::start_trusted(pool.clone(), config.clone(), Clock::process(), trust).await;

        let (store, rng) = (Store::from_pool(pool), Rng::process());
        let admin = bootstrap::ensure_admin(&store, &rng, "root@example.org", "correct horse")
            .await
            .expect("an admin");
        let record = bootstrap::ensure_local_host(&store, &admin).await.expect("a host's record");
        let host = host::start_as(&store, record, &socket.addr(), options).await;
        Self { host, server, config, socket }
    }

    /// Ends the server and starts another one on the same database; the agent dials that one.
    pub(crate) async fn restart_server(self) -> Self {
        let Self { host, server, config, socket } = self;
        let (pool, trust) = (server.pool.clone(), server.trust.clone());
        let ended = tokio::task::spawn_blocking(move || drop(server));
        ended.await.expect("the server ends");
        let server = TestServer::start_trusted(pool, config.clone(), Clock::process(), trust).await;
        Self { host, server, config, socket }
    }

    /// Starts a host that a team has brought, and waits until it is attached.
    pub(crate) async fn host_of(&self, team: TeamId) -> SimHost {
        let store = Store::from_pool(self.server.pool.clone());
        let new = NewHost { team_id: Some(team), ..NewHost::default() };
        let record = store.host_create(&new).await.expect("a host's record").id;
        host::start_as(&store, record, &self.socket.addr(), SimOptions::default()).await
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
