//! A private database in a folder that is gone afterwards.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};
use wrenn_base::Clock;

use crate::{data, services::ServiceUrls, stopwatch::Stopwatch};

const READY_LIMIT: Duration = Duration::from_secs(60);

/// `wrenn services` of its own. If it is dropped, the kernel ends Postgres with it, and the folder stays.
pub(super) struct Database {
    folder: PathBuf,
    services: Child,
}

impl Database {
    /// Starts it for the scenario of this name; durable, as that of an installation is.
    pub(super) fn start(scenario: &str) -> anyhow::Result<Self> {
        // On a disk: `/tmp` may be memory.
        let folder = PathBuf::from(format!("/var/tmp/wrenn-bench-{}-{scenario}", std::process::id()));
        data::make_folder(&folder, 0o700)?;
        let services = Command::new("/proc/self/exe")
            .arg0("wrenn")
            .args(["services", "--data"])
            .arg(&folder)
            .arg("--print-env")
            .arg(folder.join("env"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `wrenn services`")?;
        Ok(Self { folder, services })
    }

    /// Where it and other things of the measurement are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until Postgres and Redis answer, and returns their addresses.
    pub(super) async fn urls(&mut self, clock: &Clock) -> anyhow::Result<ServiceUrls> {
        let begun = Stopwatch::start(clock);
        loop {
            if let Ok(env) = dotenvy::from_path_iter(self.folder.join("env")) {
                let mut entries: HashMap<String, String> = env.filter_map(Result::ok).collect();
                let mut url = |name: &str| {
                    entries.remove(name).with_context(|| format!("`wrenn services` has printed no {name}"))
                };
                return Ok(ServiceUrls { database: url("DATABASE_URL")?, redis: url("REDIS_URL")? });
            }
            if let Some(status) = self.services.try_wait()? {
                bail!("`wrenn services` has ended: {status}");
            }
            if begun.elapsed() > READY_LIMIT {
                bail!("the database does not answer in time");
            }
            clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it, and removes the folder.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.services.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM).context("cannot stop the database")?;
        }
        self.services.wait().await?;
        data::remove(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}
