//! Measurements of capsules, compared with what the host's kernel says of the same machines, read here.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, SystemTime},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    installation::{Capsule, Installation},
    wait::{RECOVERY, until},
};

/// Time over which processor time is compared.
const COMPARED: Duration = Duration::from_secs(20);
/// Largest difference of what is compared, as a share.
const TOLERANCE: f64 = 0.1;
/// Difference of processor time that is none, in percent: a tick of 10 ms in each sample.
const TICKS_PCT: f64 = 2.0;

/// Processor time of a process, as `/proc` has it.
fn cpu_seconds(pid: i32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("a line of stat")?.1.split(' ').collect();
    // Fields 14 and 15; the first one here is the third.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// Memory of a process in proportion to its users, as `/proc` has it.
fn memory_bytes(pid: i32) -> anyhow::Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("a line with the memory")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}

fn disk_bytes(capsule: &Capsule<'_>) -> anyhow::Result<f64> {
    let folder = capsule.installation.data().join("agent/volume/machines").join(&capsule.id);
    Ok((fs::metadata(folder.join("disk.ext4"))?.blocks() * 512) as f64)
}

fn unix_now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs().cast_signed())
}

fn is_close(shown: f64, read: f64, slack: f64) -> bool {
    (shown - read).abs() <= (read * TOLERANCE).max(slack)
}

async fn metrics(capsule: &Capsule<'_>) -> anyhow::Result<Value> {
    let path = format!("{}/metrics?range=5m", capsule.path());
    capsule.installation.client()?.get(&path).await?.success()
}

fn points(metrics: &Value) -> anyhow::Result<&Vec<Value>> {
    metrics["points"].as_array().context("points")
}

/// A figure of the newest point.
async fn newest(capsule: &Capsule<'_>, figure: &str) -> anyhow::Result<f64> {
    let metrics = metrics(capsule).await?;
    let last = points(&metrics)?.last().context("a point")?;
    last[figure].as_f64().with_context(|| format!("{figure} in {last}"))
}

/// Waits until a figure of the newest point is within bounds.
async fn reaches(
    capsule: &Capsule<'_>,
    figure: &str,
    bounds: std::ops::RangeInclusive<f64>,
) -> anyhow::Result<()> {
    let what = format!("{figure} is within {bounds:?}");
    until(&what, RECOVERY, async || {
        let now = newest(capsule, figure).await?;
        ensure!(bounds.contains(&now), "it is {now}");
        Ok(Some(()))
    })
    .await
}

/// Compares processor time and memory of two capsules over the same time.
pub(crate) async fn are_those_of_the_host(installation: &Installation) -> anyhow::Result<()> {
    let (busy, idle) = (installation.capsule().await?, installation.capsule().await?);
    busy.shell("nohup sh -c 'while :; do :; done' >/dev/null 2>&1 &").await?;
    let mut compared = Vec::new();
    for capsule in [&busy, &idle] {
        until("it is measured", RECOVERY, async || {
            Ok((points(&metrics(capsule).await?)?.len() > 2).then_some(()))
        })
        .await?;
        compared.push((capsule, capsule.machine()?));
    }
    let read = |compared: &[(&Capsule<'_>, i32)]| {
        compared.iter().map(|(_, pid)| cpu_seconds(*pid)).collect::<anyhow::Result<Vec<f64>>>()
    };
    // From one full second to another, as points are.
    let (begun, before) = (full_second().await?, read(&compared)?);
    tokio::time::sleep(COMPARED).await;
    let (ended, after) = (full_second().await?, read(&compared)?);
    let seconds = (ended - begun) as f64;
    for (number, (capsule, pid)) in compared.iter().enumerate() {
        let read = (after[number] - before[number]) / seconds * 100.0;
        let metrics = metrics(capsule).await?;
        let within = points(&metrics)?
            .iter()
            .filter(|point| point["timestamp_unix"].as_i64().is_some_and(|at| (begun..ended).contains(&at)));
        let shown: Vec<f64> = within.filter_map(|point| point["cpu_pct"].as_f64()).collect();
        ensure!(shown.len() as f64 > seconds * 0.9, "{} points in {seconds} s", shown.len());
        let shown = shown.iter().sum::<f64>() / shown.len() as f64;
        ensure!(is_close(shown, read, TICKS_PCT), "CPU: {shown} is shown, {read} was read");
        // Memory that the machines share changes with their number, and is measured less often.
        until("memory is shown as it was read", RECOVERY, async || {
            let (shown, read) = (newest(capsule, "mem_bytes").await?, memory_bytes(*pid)?);
            ensure!(is_close(shown, read, 0.0), "memory: {shown} is shown, {read} was read");
            Ok(Some(()))
        })
        .await?;
    }
    let (busy_pct, idle_pct) = (after[0] - before[0], after[1] - before[1]);
    ensure!(busy_pct > 2.0 * idle_pct, "the busy one used {busy_pct} s, the idle one {idle_pct} s");
    let guest = &metrics(&idle).await?["guest"];
    let total = guest["mem_total_bytes"].as_f64().context("the guest says how much memory it has")?;
    ensure!(guest["mem_used_bytes"].as_f64().is_some_and(|used| used > 0.0 && used < total), "{guest}");
    ensure!(guest["disk_used_bytes"].as_f64().is_some_and(|used| used > 0.0), "{guest}");
    busy.delete().await?;
    idle.delete().await
}

/// Waits until a second begins, and returns it.
async fn full_second() -> anyhow::Result<i64> {
    let before = unix_now()?;
    loop {
        let now = unix_now()?;
        if now > before {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets a capsule use memory, disk and network, and looks at what they grow by. They go on after a pause.
pub(crate) async fn grow_by_what_is_used(installation: &Installation) -> anyhow::Result<()> {
    const MB: f64 = 1_000_000.0;
    let capsule = installation.capsule().await?;
    until("it is measured", RECOVERY, async || {
        Ok((points(&metrics(&capsule).await?)?.len() > 2).then_some(()))
    })
    .await?;

    let before = newest(&capsule, "mem_bytes").await?;
    capsule.shell("head -c 100000000 /dev/zero > /dev/shm/data").await?;
    reaches(&capsule, "mem_bytes", before + 90.0 * MB..=before + 150.0 * MB).await?;

    let (before, read_before) = (newest(&capsule, "disk_bytes").await?, disk_bytes(&capsule)?);
    ensure!(is_close(before, read_before, MB), "disk: {before} is shown, {read_before} was read");
    capsule.shell("head -c 50000000 /dev/urandom > /root/data; sync").await?;
    reaches(&capsule, "disk_bytes", before + 45.0 * MB..=before + 60.0 * MB).await?;

    let before = newest(&capsule, "net_out_bytes").await?;
    let printed = capsule.shell("head -c 3000000 /dev/zero | tr '\\0' x").await?;
    ensure!(printed.len() == 3_000_000, "{} bytes were printed", printed.len());
    reaches(&capsule, "net_out_bytes", before + 3.0 * MB..=before + 3.6 * MB).await?;

    let before = newest(&capsule, "net_in_bytes").await?;
    let route = format!("{}/files/write", capsule.path());
    let content = reqwest::Body::from(vec![b'x'; 3_000_000]);
    installation.client()?.upload(&route, "/root/uploaded", content).await?.success()?;
    reaches(&capsule, "net_in_bytes", before + 3.0 * MB..=before + 3.6 * MB).await?;

    let first = points(&metrics(&capsule).await?)?[0].clone();
    let counted = newest(&capsule, "net_in_bytes").await?;
    capsule.pause().await?;
    let paused = metrics(&capsule).await?;
    ensure!(paused["source"] == "stored" && points(&paused)?[0] == first, "{paused}");
    capsule.resume().await?;
    capsule.shell("true").await?;
    until("it goes on", RECOVERY, async || {
        let resumed = metrics(&capsule).await?;
        let points = points(&resumed)?;
        let last = points.last().and_then(|point| point["net_in_bytes"].as_f64());
        Ok((points[0] == first && last.is_some_and(|last| last > counted)).then_some(()))
    })
    .await?;
    capsule.delete().await?;
    let gone = metrics(&capsule).await?;
    ensure!(gone["source"] == "stored" && points(&gone)?[0] == first, "{gone}");
    Ok(())
}
