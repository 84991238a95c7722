//! `wrenn down`: ends an installation and removes all that it has on this machine.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use wrenn_agent::leftovers::Leftovers;
use wrenn_base::{Chain, Clock};

use crate::{
    data::{self, DataFolder, DataLock},
    progress,
    services::stop_leftover,
    stopwatch::Stopwatch,
    up::AGENT_FOLDER,
};

/// Time for an orderly end of `up`, which waits for open requests and for Postgres.
const LIMIT: Duration = Duration::from_secs(90);

/// `wrenn down`: stops `up`, destroys every capsule, releases what they hold on this machine.
#[derive(Debug, clap::Args)]
pub struct DownCommand {
    /// Data folder.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// Delete the data folder too: accounts, keys, disks, everything.
    #[arg(long)]
    purge: bool,
}

impl DownCommand {
    /// Does all of it; what is already gone is fine.
    pub async fn run(self, clock: Clock) -> anyhow::Result<()> {
        if !self.data.exists() {
            progress::note(format_args!("Nothing to do: there is no {}", self.data.display()));
            return Ok(());
        }
        let data = DataFolder::open(&self.data)?;
        let lock = end_up(&data, &clock).await?;
        // Of an `up` that was killed, and whose Postgres is still ending.
        stop_leftover(&data, &clock).await?;

        let found = Leftovers::scan(&data.path(AGENT_FOLDER));
        if let Err(errors) = found.clean().await {
            for error in &errors {
                progress::note(format_args!("  {}", Chain(error)));
            }
            bail!("{} thing(s) could not be removed", errors.len());
        }
        data::remove(data.runtime()).context("cannot remove the sockets' folder")?;
        progress::note(format_args!("Removed {} capsule(s) and what they held.", found.processes.len()));

        if self.purge {
            data::remove(data.root()).with_context(|| format!("cannot delete {}", data.root().display()))?;
            progress::note(format_args!("Deleted {}.", data.root().display()));
        }
        drop(lock);
        Ok(())
    }
}

/// Ends a running `up` and takes its place, so that none can start while its things are removed.
async fn end_up(data: &DataFolder, clock: &Clock) -> anyhow::Result<DataLock> {
    let begun = Stopwatch::start(clock);
    let mut asked = None;
    loop {
        if let Some(lock) = data.try_lock()? {
            return Ok(lock);
        }
        let owner = data.owner();
        if let Some(pid) = owner
            && asked != owner
        {
            progress::note(format_args!("Stopping `wrenn up` (pid {pid})"));
            let pid = i32::try_from(pid).context("the pid file of `up` holds no pid")?;
            // It holds the lock, so it lives, and the pid is its own.
            kill(Pid::from_raw(pid), Signal::SIGTERM).context("cannot signal `wrenn up`")?;
            asked = owner;
        }
        if begun.elapsed() > LIMIT {
            bail!("`wrenn up` does not end within {} s", LIMIT.as_secs());
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
}
