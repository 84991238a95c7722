//! What the server is told when it starts.

use std::time::Duration;

use wrenn_actors::{FaultInjection, objects::ObjectsLocation};

use crate::preview::PreviewUrl;

/// Configuration of `wrenn server`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Postgres, as `postgres://…`; may name a unix socket with `?host=`.
    pub database_url: String,
    /// Redis, as `redis://…` or `redis+unix:///path`.
    pub redis_url: String,
    /// Address of REST and dashboard, as `host:port`; a leading `http://` is accepted.
    pub http_addr: String,
    /// Address that agents dial, as `host:port` or `unix:/path`.
    pub grpc_addr: String,
    /// Threads that serve HTTP.
    pub http_workers: usize,
    /// Connections to Postgres, at most.
    pub database_connections: u32,
    /// Where the ports of capsules are reached from outside; below `.localhost` at the server's own port if none is said.
    pub preview_url: Option<PreviewUrl>,
    /// How many builds are worked on at once.
    pub build_workers: usize,
    /// What the kept disks of builds' steps may occupy, in bytes.
    pub build_cache_bytes: u64,
    /// Where objects are kept, such as the archives of builds.
    pub objects: ObjectsLocation,
    /// How often an attached host is asked what it has.
    pub inventory_interval: Duration,
    /// Whether the routes that make actors panic exist; for tests of supervision.
    pub fault_injection: FaultInjection,
}

impl Default for ServerConfig {
    /// Loopback addresses and a size that fits a small machine.
    fn default() -> Self {
        Self {
            database_url: String::new(),
            redis_url: String::new(),
            http_addr: "127.0.0.1:8000".to_owned(),
            grpc_addr: "127.0.0.1:8001".to_owned(),
            http_workers: 2,
            database_connections: 10,
            preview_url: None,
            build_workers: wrenn_actors::BuildConfig::default().workers,
            build_cache_bytes: wrenn_actors::BuildConfig::default().cache_bytes,
            objects: ObjectsLocation::Memory,
            inventory_interval: wrenn_actors::Config::default().inventory_interval,
            fault_injection: FaultInjection::Off,
        }
    }
}
