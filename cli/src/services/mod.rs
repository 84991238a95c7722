//! The private Postgres and Redis of one installation, on unix sockets only.
//!
//! Postgres keeps its files in the data folder and its socket in the runtime folder; Redis keeps nothing,
//! because all that it holds is a queue that Postgres can fill again.

mod postgres;
mod redis;
mod socket;

use std::path::PathBuf;

use anyhow::Context;
use wrenn_base::{Clock, Rng};

pub use postgres::{Durability, newest_programs as newest_postgres, stop_leftover};
pub use redis::{REDIS, installed as queue_server};

use crate::{
    data::{self, DataFolder},
    process::{EndSignal, ProcessStack},
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

/// Where the server finds its database and its queue.
#[derive(Debug, Clone)]
pub struct ServiceUrls {
    /// Postgres.
    pub database: String,
    /// Redis.
    pub redis: String,
}

/// Starts both, each onto the stack as soon as it runs, and waits until both answer.
pub async fn start(
    data: &DataFolder,
    durability: Durability,
    stack: &mut ProcessStack,
) -> anyhow::Result<ServiceUrls> {
    data::make_folder(data.runtime(), 0o700)?;
    let database = postgres::start(data, durability, stack).await?;
    let redis = redis::start(data, stack).await?;
    Ok(ServiceUrls { database, redis })
}

impl ServicesCommand {
    /// Runs until SIGINT or SIGTERM.
    pub async fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<()> {
        let folder = DataFolder::create(&self.data)?;
        let _lock = folder.lock()?;
        let mut end = EndSignal::listen()?;
        let mut stack = ProcessStack::new(clock, rng);
        let result = tokio::select! {
            result = self.run_on(&folder, &mut stack) => result,
            () = end.received() => Ok(()),
        };
        stack.stop_all().await;
        data::remove(folder.runtime()).context("cannot remove the sockets' folder")?;
        result
    }

    async fn run_on(&self, folder: &DataFolder, stack: &mut ProcessStack) -> anyhow::Result<()> {
        let durability = if self.ephemeral { Durability::Ephemeral } else { Durability::Durable };
        let ServiceUrls { database, redis } = start(folder, durability, stack).await?;
        let env = format!("export DATABASE_URL='{database}'\nexport REDIS_URL='{redis}'\n");
        progress::note(env.trim_end());
        if let Some(path) = &self.print_env {
            data::write_atomically(path, 0o600, env.as_bytes())?;
        }
        std::future::pending().await
    }
}
