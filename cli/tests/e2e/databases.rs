//! A Postgres and a Redis that are not those of an installation.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Child;

use crate::{
    installation::{Installation, temporary_folder, wrenn},
    wait::{RECOVERY, until},
};

/// `wrenn services` on a folder of its own; call [`end`](Self::end).
pub(crate) struct Databases {
    child: Child,
    /// What it says of itself, in the form of an `.env` file.
    pub(crate) env: String,
}

impl Databases {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let env_file = folder.join("services.env");
        let child = wrenn(&folder.join("services"))
            .args(["services", "--ephemeral", "--print-env"])
            .arg(&env_file)
            .stdout(Stdio::null())
            .spawn()
            .context("start `wrenn services`")?;
        let env = until("Postgres and Redis run", RECOVERY, async || {
            Ok(fs::read_to_string(&env_file).ok().filter(|text| text.contains("REDIS_URL")))
        })
        .await?;
        Ok(Self { child, env })
    }

    /// An orderly end, so that Postgres does not outlive its folder.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("`wrenn services` has ended")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "`wrenn services` ended with {status}");
        Ok(())
    }
}

pub(crate) async fn given_ones_are_used() -> anyhow::Result<()> {
    let folder = temporary_folder()?;
    let databases = Databases::start(folder.path()).await?;
    // The settings come from a file in the working directory.
    fs::write(folder.path().join(".env"), &databases.env)?;
    let result = match Installation::start_in(folder.path()).await {
        Ok(installation) => {
            let checked = uses_given(&installation).await;
            installation.end().await.and(checked)
        }
        Err(error) => Err(error),
    };
    databases.end().await.and(result)
}

async fn uses_given(installation: &Installation) -> anyhow::Result<()> {
    installation.healthy().await?;
    ensure!(!installation.data().join("postgres").exists(), "a private Postgres was made");
    for name in ["postgres", "redis"] {
        ensure!(installation.pid(name).is_err(), "a private {name} runs");
    }
    let capsules = installation.client()?.get("/v1/capsules").await?.success()?;
    ensure!(capsules == serde_json::json!([]), "{capsules}");
    Ok(())
}
