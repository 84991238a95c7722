//! `kill -9` of everything that can be killed.

use std::time::Duration;

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    installation::{Capsule, Installation},
    traces::{Traces, machines},
    wait::{BOOT, until},
    windows::settled,
};

/// Three capsules, each with a mark that only it has.
async fn three(installation: &Installation) -> anyhow::Result<Vec<Capsule<'_>>> {
    let client = installation.client()?;
    let mut capsules = Vec::new();
    for _ in 0..3 {
        let created = client.post("/v1/capsules", &serde_json::json!({})).await?.success()?;
        let id = created["id"].as_str().context("id")?.to_owned();
        capsules.push(Capsule { installation, id });
    }
    for capsule in &capsules {
        capsule.wait_for("running", BOOT).await?;
        // In memory, so a machine that was started anew has lost it.
        capsule.shell(&format!("echo {} > /dev/shm/mark", capsule.id)).await?;
    }
    Ok(capsules)
}

/// Kills a process of the installation and checks that nothing is lost or doubled by it.
async fn survive(installation: &Installation, processes: &[&str]) -> anyhow::Result<()> {
    let capsules = three(installation).await?;
    let data = installation.data();
    let pids = |machines: Vec<(i32, String)>| machines.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    let before = pids(machines(&data)?);
    let listed = list(installation).await?;

    for process in processes {
        installation.kill(process).await.with_context(|| format!("killing the {process}"))?;
    }
    for capsule in &capsules {
        capsule.wait_for("running", BOOT).await?;
        let mark = until(&format!("a command runs in {}", capsule.id), Duration::from_secs(30), async || {
            capsule.shell("cat /dev/shm/mark").await.map(Some)
        })
        .await?;
        ensure!(mark.trim() == capsule.id, "{} answers in place of {}", mark.trim(), capsule.id);
    }
    ensure!(pids(machines(&data)?) == before, "other machines run than before");
    ensure!(list(installation).await? == listed, "other capsules are listed than before");
    for capsule in &capsules {
        capsule.delete().await?;
    }
    Ok(())
}

async fn list(installation: &Installation) -> anyhow::Result<Vec<(Value, Value)>> {
    let list = installation.client()?.get("/v1/capsules").await?.success()?;
    let capsules = list.as_array().context("a list")?.iter();
    Ok(capsules.map(|capsule| (capsule["id"].clone(), capsule["status"].clone())).collect())
}

pub(crate) async fn agent_killed(installation: &Installation) -> anyhow::Result<()> {
    survive(installation, &["agent"]).await
}

pub(crate) async fn server_killed(installation: &Installation) -> anyhow::Result<()> {
    survive(installation, &["server"]).await
}

pub(crate) async fn database_killed(installation: &Installation) -> anyhow::Result<()> {
    survive(installation, &["postgres", "redis"]).await
}

pub(crate) async fn machine_killed(installation: &Installation) -> anyhow::Result<()> {
    let bystander = installation.capsule().await?;
    let before = settled(installation).await?;
    let victim = installation.capsule().await?;
    victim.shell("echo kept > /root/mark; sync; echo lost > /dev/shm/mark").await?;
    kill(Pid::from_raw(victim.machine()?), Signal::SIGKILL)?;

    let shown = victim.wait_for("stopped", Duration::from_secs(10)).await?;
    let reason = shown["stop_reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("signal 9"), "no stop_reason: {shown}");
    let exec = victim.ask("exec").await?;
    ensure!(exec.status == 400 || exec.status == 409, "{exec:?}");

    // Its disk is kept, and can be booted.
    let resumed = victim.resume().await?;
    ensure!(resumed["stop_reason"].is_null(), "{resumed}");
    ensure!(victim.shell("cat /root/mark; ls /dev/shm").await? == "kept\n", "the disk is not what it was");

    bystander.shell("true").await.context("the other capsule notices nothing")?;
    victim.delete().await?;
    until("what the killed machine held is gone", Duration::from_secs(20), async || {
        let now = Traces::of(installation)?;
        ensure!(now == before, "{}", now.difference(&before));
        Ok(Some(()))
    })
    .await?;
    bystander.delete().await
}
