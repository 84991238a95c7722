//! `wrenn server`: the control plane.

use std::{path::PathBuf, time::Duration};

use wrenn_api::{FaultInjection, ObjectsLocation, PreviewUrl, ServerConfig};

use crate::process::EndSignal;

/// `wrenn server`: serves REST, dashboard and the hosts' agents.
#[derive(Debug, clap::Args)]
pub struct ServerCommand {
    /// Postgres, as postgres://… (a unix socket with ?host=/folder).
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Redis, as redis://… or redis+unix:///path.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: String,
    /// Address of REST interface and dashboard.
    #[arg(long, env = "WRENN_HTTP_ADDR", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// Address that agents dial, as HOST:PORT or unix:/PATH.
    #[arg(long, env = "WRENN_GRPC_ADDR", default_value = "127.0.0.1:8001")]
    grpc_addr: String,
    /// Where browsers reach the ports of capsules, like https://{port}-{capsule}.preview.example.com; below .localhost at
    /// the server's own port if not given. Names below .localhost work in any case.
    #[arg(long, env = "WRENN_PREVIEW_URL")]
    preview_url: Option<PreviewUrl>,
    /// Connections to Postgres, at most.
    #[arg(long, env = "WRENN_DATABASE_CONNECTIONS", default_value_t = 10)]
    database_connections: u32,
    /// Builds that are worked on at once.
    #[arg(long, env = "BUILD_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=64))]
    build_workers: u32,
    /// What the kept disks of builds' steps may occupy on the hosts, in MiB; the ones not used for longest go first.
    #[arg(long, env = "WRENN_BUILD_CACHE_MB", default_value_t = 20_480)]
    build_cache_mb: u64,
    /// Folder for objects, such as the archives of builds; made if it is missing.
    #[arg(long, env = "WRENN_OBJECTS", default_value = "/var/lib/wrenn/objects")]
    objects: PathBuf,
    /// How often hosts are asked what they have, in milliseconds; for tests that want it all the time.
    #[arg(long, env = "WRENN_INVENTORY_INTERVAL_MS", hide = true, default_value_t = 60_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    inventory_interval_ms: u64,
    /// Serve the routes that make actors panic; for tests of supervision.
    #[arg(long, env = "WRENN_FAULT_INJECTION", hide = true, action = clap::ArgAction::Set, default_value = "0",
        value_parser = clap::builder::BoolishValueParser::new())]
    fault_injection: bool,
}

impl ServerCommand {
    /// Serves until SIGINT or SIGTERM. Must run on an actix system.
    pub async fn run(self) -> anyhow::Result<()> {
        wrenn_agent::raise_open_files_limit();
        let mut end = EndSignal::listen()?;
        let config = ServerConfig {
            database_url: self.database_url,
            redis_url: self.redis_url,
            http_addr: self.http_addr,
            grpc_addr: self.grpc_addr,
            preview_url: self.preview_url,
            database_connections: self.database_connections,
            build_workers: self.build_workers as usize,
            build_cache_bytes: self.build_cache_mb.saturating_mul(1024 * 1024),
            objects: ObjectsLocation::Folder(self.objects),
            inventory_interval: Duration::from_millis(self.inventory_interval_ms),
            fault_injection: if self.fault_injection { FaultInjection::On } else { FaultInjection::Off },
            ..ServerConfig::default()
        };
        Ok(wrenn_api::run(config, async move { end.received().await }).await?)
    }
}
