//! The private Postgres and Redis of one installation, on unix sockets only.
//!
//! Postgres keeps its files in the data folder and its socket in the runtime folder; Redis keeps nothing,
//! because all that it holds is a queue that Postgres can fill again.

mod postgres;
mod redis;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    net::UnixStream,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

pub use postgres::newest_programs as newest_postgres;

use crate::{
    data::{self, DataFolder},
    process::Process,
    progress,
};

/// `wrenn services`: runs Postgres and Redis until it is told to end.
#[derive(Debug, clap::Args)]
pub struct ServicesCommand {
    /// Data folder.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// File to which DATABASE_URL and REDIS_URL are written once both answer, for a shell to source.
    #[arg(long, value_name = "FILE")]
    print_env: Option<PathBuf>,
    /// Do not wait for the disk: quicker, and loses the database in a power cut. For tests.
    #[arg(long)]
    ephemeral: bool,
}

/// Whether the database must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on the disk.
    Durable,
    /// Commits may be lost; for tests.
    Ephemeral,
}

/// Where the server finds its database and its queue.
#[derive(Debug, Clone)]
pub struct ServiceUrls {
    /// Postgres.
    pub database: String,
    /// Redis.
    pub redis: String,
}

/// Both processes, running and answering.
#[derive(Debug)]
pub struct Services {
    /// Where they are.
    pub urls: ServiceUrls,
    postgres: Process,
    redis: Process,
}

impl Services {
    /// Starts both and waits until both answer.
    pub async fn start(data: &DataFolder, durability: Durability) -> anyhow::Result<Self> {
        data::make_folder(data.runtime(), 0o755)?;
        let (postgres, database) = postgres::start(data, durability).await?;
        let (redis, redis_url) = redis::start(data).await?;
        Ok(Self { urls: ServiceUrls { database, redis: redis_url }, postgres, redis })
    }

    /// Stops both, the one that keeps data last.
    pub async fn stop(self) {
        self.redis.stop().await;
        self.postgres.stop().await;
    }
}

impl ServicesCommand {
    /// Runs until SIGINT or SIGTERM.
    pub async fn run(self) -> anyhow::Result<()> {
        let folder = DataFolder::create(&self.data)?;
        let _lock = folder.lock()?;
        let own_pid = format!("{}\n", std::process::id());
        data::write_atomically(&folder.pid_file("up"), 0o644, own_pid.as_bytes())?;
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);

        let durability = if self.ephemeral { Durability::Ephemeral } else { Durability::Durable };
        let services = Services::start(&folder, durability).await?;
        let ServiceUrls { database, redis } = &services.urls;
        let env = format!("export DATABASE_URL='{database}'\nexport REDIS_URL='{redis}'\n");
        progress::note(env.trim_end());
        if let Some(path) = &self.print_env {
            data::write_atomically(path, 0o600, env.as_bytes())?;
        }

        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        services.stop().await;
        data::remove(&folder.pid_file("up"))?;
        data::remove(folder.runtime()).context("cannot remove the sockets' folder")
    }
}

/// Waits until somebody answers on a socket; gives up when its process has died thrice or time is up.
async fn wait_for_socket(process: &Process, socket: &Path, limit: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while UnixStream::connect(socket).await.is_err() {
        if process.starts() > 3 || begun.elapsed() > limit {
            bail!("{} does not answer. The end of {}", process.name(), process.last_output());
        }
        sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}
