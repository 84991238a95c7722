//! What is killed while a build goes on.

use std::time::Duration;

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::Builder;
use crate::{
    installation::Installation,
    traces::machines,
    wait::{RECOVERY, until},
};

/// What is killed.
const VICTIMS: [&str; 5] = ["server", "agent", "machine", "redis", "flushall"];
/// When.
const STAGES: [&str; 4] = ["steps", "healthcheck", "template", "testing"];

pub(crate) async fn every_build_ends() -> anyhow::Result<()> {
    // Every stage takes long enough to be hit: a command that waits, and points at which the host is held.
    let installation = Installation::start_with_settings(|folder| {
        let points = folder.join("points");
        let _ = std::fs::create_dir(&points);
        vec![("WRENN_FAULT_POINTS", points.display().to_string())]
    })
    .await?;
    let result = async {
        for victim in VICTIMS {
            for stage in STAGES {
                one(&installation, victim, stage).await.with_context(|| format!("{victim} at {stage}"))?;
            }
        }
        Ok(())
    }
    .await;
    installation.end().await?;
    result
}

async fn one(installation: &Installation, victim: &str, stage: &str) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let points = installation.data().parent().context("the folder")?.join("points");
    let name = format!("{victim}-{stage}");
    let hold = points.join("snapshot.cloned.hold");
    if stage == "template" {
        std::fs::write(&hold, "")?;
    }
    // Long enough to be hit.
    let healthcheck = match stage {
        "healthcheck" | "testing" => "--timeout=20s sleep 2",
        _ => "true",
    };
    let recipe = if stage == "steps" { "RUN echo first\nRUN echo at it; sleep 6" } else { "RUN echo first" };
    let config = json!({ "name": name, "recipe": recipe, "healthcheck": healthcheck, "no_cache": true });
    let id = builder.begin(config, None).await?;
    if stage == "steps" {
        builder.printed(&id, "at it").await?;
    } else {
        builder.reaches(&id, stage).await?;
    }
    strike(installation, victim).await?;
    let _ = std::fs::remove_file(&hold);
    installation.healthy().await?;
    // The server may have been killed, and with it the connection.
    let builder = Builder::sign_in(installation).await?;
    let build = builder.ended(&id).await?;
    match build["status"].as_str() {
        Some("success") => {
            let capsule = installation.capsule_of(&name).await?;
            ensure!(capsule.shell("echo works").await? == "works\n");
            capsule.delete().await?;
            builder.delete_template(&name).await?;
        }
        _ => ensure!(
            !builder.templates().await?.contains(&name),
            "failed, and the template is there: {build:#}"
        ),
    }
    // A kill costs an attempt, and never the build.
    ensure!(build["status"] == "success", "{build:#}");
    // Who is killed while a command runs costs the attempt; else nobody was hit.
    let costs = stage == "steps" && ["server", "agent", "machine"].contains(&victim);
    ensure!(!costs || build["attempt"].as_u64() > Some(1), "nobody was hit: {build:#}");
    eprintln!("  {victim} at {stage}: attempt {}", build["attempt"]);
    until("no machine is left", RECOVERY, async || {
        Ok(machines(&installation.data())?.is_empty().then_some(()))
    })
    .await
}

async fn strike(installation: &Installation, victim: &str) -> anyhow::Result<()> {
    match victim {
        "machine" => {
            // There may be none at this very moment, between the build's capsule and the one that tries the template.
            let found = until("a machine runs", Duration::from_secs(20), async || {
                Ok(machines(&installation.data())?.first().map(|(pid, _)| *pid))
            })
            .await?;
            Ok(kill(Pid::from_raw(found), Signal::SIGKILL)?)
        }
        "flushall" => flush_all(installation).await,
        process => installation.kill(process).await,
    }
}

async fn flush_all(installation: &Installation) -> anyhow::Result<()> {
    let socket = until("the socket of Redis is there", RECOVERY, async || {
        let environment = std::fs::read(format!("/proc/{}/environ", installation.pid("server")?))?;
        let text = String::from_utf8_lossy(&environment).into_owned();
        let url = text.split('\0').find_map(|entry| entry.strip_prefix("REDIS_URL=redis+unix://"));
        Ok(url.map(str::to_owned))
    })
    .await?;
    let output = tokio::process::Command::new("redis-cli").args(["-s", &socket, "FLUSHALL"]).output().await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}
