//! Start, end and new start of an installation.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use wrenn_proto::ids::SandboxId;

use crate::{
    installation::{Installation, wrenn},
    traces::{Traces, machines, number},
    wait::{RECOVERY, until},
};

/// What a second start may take on a machine that emulates; on an idle one it is below two seconds.
const SECOND_START: Duration = Duration::from_secs(15);

pub(crate) async fn second_up_is_refused(installation: &Installation) -> anyhow::Result<()> {
    let output = installation.wrenn().arg("up").output().await?;
    let message = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success() && message.contains("another `wrenn up`"), "{message}");

    // Another data folder, but the same port.
    let folder = crate::installation::temporary_folder()?;
    let output = wrenn(&folder.path().join("data"))
        .arg("up")
        .env("WRENN_HTTP_ADDR", format!("127.0.0.1:{}", installation.port()))
        .output()
        .await?;
    let message = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success() && message.contains("WRENN_HTTP_ADDR"), "{message}");
    installation.healthy().await
}

pub(crate) async fn side_by_side() -> anyhow::Result<()> {
    let first = Installation::shared().await?;
    let second = Installation::start_new().await?;
    let result = both_work(first, &second).await;
    let data = second.data().canonicalize()?;
    let number = number(&data)?;
    second.end().await?;
    result?;
    let left = Traces::on_host(&data, number)?;
    ensure!(left.is_empty(), "the second installation left {left:?}");
    first.healthy().await
}

async fn both_work(first: &Installation, second: &Installation) -> anyhow::Result<()> {
    let (here, there) = (first.capsule().await?, second.capsule().await?);
    here.shell("true").await?;
    there.shell("true").await?;
    ensure!(first.client()?.get(&there.path()).await?.status == 404, "one knows the other's capsules");
    there.delete().await?;
    here.shell("true").await.context("the end of one's capsule touches the other's")?;
    here.delete().await
}

pub(crate) async fn interrupted(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("echo kept > /dev/shm/mark").await?;
    let data = installation.data();
    let before = machines(&data)?;
    let env = installation.env()?;

    let output = installation.stop(Signal::SIGINT).await?;
    let surviving = format!("{} capsule(s) keep running", before.len());
    ensure!(output.contains(&surviving) && output.contains("wrenn down --data"), "{output}");
    ensure!(machines(&data)? == before, "capsules did not survive");
    for name in ["up", "server", "agent", "postgres", "redis"] {
        ensure!(installation.pid(name).is_err(), "{name} still has a pid file");
    }
    let left = processes_of(installation)?;
    ensure!(left.is_empty(), "still running: {left:?}");
    TcpListener::bind(("127.0.0.1", installation.port())).context("the port is free")?;

    let took = installation.start().await?;
    ensure!(took < SECOND_START, "the second start took {took:?}");
    ensure!(installation.env()? == env, "dev.env has changed");
    capsule.wait_for("running", Duration::from_secs(20)).await?;
    ensure!(capsule.shell("cat /dev/shm/mark").await? == "kept\n", "the capsule was started anew");
    ensure!(machines(&data)? == before, "other machines run than before");
    capsule.delete().await
}

pub(crate) async fn up_killed(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let data = installation.data();
    let before = machines(&data)?;
    installation.kill_up().await?;
    until("all that `wrenn up` had started has ended with it", RECOVERY, async || {
        let left = processes_of(installation)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
    .await?;
    ensure!(machines(&data)? == before, "the capsule ended, too");

    let took = installation.start().await?;
    ensure!(took < SECOND_START, "the next start took {took:?}");
    capsule.wait_for("running", Duration::from_secs(20)).await?;
    capsule.shell("true").await?;
    capsule.delete().await
}

/// Processes that were started for the data folder, but no machines.
fn processes_of(installation: &Installation) -> anyhow::Result<Vec<String>> {
    let data = installation.data().canonicalize()?;
    let machines = machines(&data)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let arguments =
            std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " ");
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let mark = format!("WRENN_DATA={}", data.display());
        let is_ours = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        if is_ours && machines.iter().all(|(machine, _)| *machine != pid) {
            found.push(format!("{pid} {arguments}"));
        }
    }
    Ok(found)
}

pub(crate) async fn down_leaves_nothing(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    ensure!(capsule.id.parse::<SandboxId>().is_ok(), "{}", capsule.id);
    let data = installation.data().canonicalize()?;
    let number = number(&data)?;
    let output = installation.wrenn().arg("down").output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = Traces::on_host(&data, number)?;
    ensure!(left.is_empty(), "left on the host: {left:?}");
    let processes = processes_of(installation)?;
    ensure!(processes.is_empty(), "still running: {processes:?}");

    let purge = installation.wrenn().args(["down", "--purge"]).output().await?;
    ensure!(purge.status.success() && !data.exists(), "{}", String::from_utf8_lossy(&purge.stderr));
    Ok(())
}
