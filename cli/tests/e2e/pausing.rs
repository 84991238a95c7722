//! Pause, resume, idle capsules, and what a restart of everything leaves of them.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    installation::{Capsule, Installation, temporary_folder},
    traces::{Traces, machines},
    wait::{RECOVERY, until},
    windows::settled,
};

/// Cycles of pause and resume that one capsule goes through.
const CYCLES: usize = 20;

/// A command that counts, a hundred times a second, and keeps a file open for what it counts.
const COUNTER: &str = "nohup sh -c 'exec 3>/root/open; i=0; while :; do i=$((i+1)); echo $i >&3; \
    echo $i > /dev/shm/count.new; mv /dev/shm/count.new /dev/shm/count; sleep 0.01; done' >/dev/null 2>&1 &";

pub(crate) async fn what_is_so_already_stays_so(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    // Its last use is written some seconds later.
    let at_rest = |mut shown: Value| {
        shown["last_active_at"].take();
        shown
    };
    let running = at_rest(capsule.show().await?);
    let resumed = at_rest(capsule.resume().await?);
    ensure!(resumed == running, "resuming a running capsule changes something: {running} became {resumed}");
    capsule.shell("echo kept > /dev/shm/mark; echo kept > /root/mark").await?;
    let paused = capsule.pause().await?;
    ensure!(capsule.pause().await? == paused, "pausing a paused capsule changes something");
    ensure!(capsule.machine().is_err(), "a paused capsule has a virtual machine");
    for operation in ["exec", "ping"] {
        let body = json!({ "cmd": "true" });
        let path = format!("{}/{operation}", capsule.path());
        let refused = installation.client()?.post(&path, &body).await?;
        ensure!(refused.status == 409 && refused.text("/error/code") == "invalid_state", "{refused:?}");
    }
    // The name that older clients know.
    let path = format!("/v1/sandboxes/{}/resume", capsule.id);
    let resumed = installation.client()?.post(&path, &json!({})).await?.success()?;
    ensure!(resumed["status"] == "running", "{resumed}");
    ensure!(capsule.shell("cat /dev/shm/mark /root/mark").await? == "kept\nkept\n", "something was lost");
    let ping = capsule.ask("ping").await?;
    ensure!(ping.status == 204, "{ping:?}");
    capsule.delete().await?;
    capsule.delete().await.context("deleting twice is fine")?;
    for operation in ["pause", "resume"] {
        let refused = capsule.ask(operation).await?;
        ensure!(refused.status == 409 && refused.text("/error/code") == "invalid_state", "{refused:?}");
    }
    Ok(())
}

pub(crate) async fn twenty_cycles(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell(COUNTER).await?;
    capsule
        .shell("head -c 20000000 /dev/urandom > /root/data; head -c 20000000 /dev/urandom > /dev/shm/data")
        .await?;
    let sums = "sha256sum /root/data /dev/shm/data | cut -c1-64";
    let expected = capsule.shell(sums).await?;
    let mut last = count(&capsule).await?;
    let mut occupied = Vec::new();
    for cycle in 1..=CYCLES {
        capsule.pause().await?;
        occupied.push(occupied_bytes(&capsule)?);
        capsule.resume().await?;
        let now = count(&capsule).await?;
        ensure!(now >= last, "cycle {cycle}: the counter went back from {last} to {now}");
        last = now;
    }
    ensure!(capsule.shell(sums).await? == expected, "contents have changed");
    // One process has counted all the time, and what it wrote through its open file is whole.
    let whole = "awk '$1 != NR { print \"line \" NR \" is \" $1; exit 1 }' /root/open && echo whole";
    ensure!(capsule.shell(whole).await? == "whole\n", "ticks were lost");
    let moving = count(&capsule).await?;
    until("the counter goes on", RECOVERY, async || Ok((count(&capsule).await? > moving).then_some(())))
        .await?;
    // The first pauses bring what the guest has written since; after that nothing grows but by what it counts.
    let (early, late) = (occupied[CYCLES / 4], occupied[CYCLES - 1]);
    ensure!(late < early + early / 10, "the files of the capsule have grown from {early} to {late} bytes");
    capsule.delete().await
}

async fn count(capsule: &Capsule<'_>) -> anyhow::Result<u64> {
    capsule.shell("cat /dev/shm/count").await?.trim().parse().context("a number")
}

/// What the files of a capsule occupy on the volume.
fn occupied_bytes(capsule: &Capsule<'_>) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let folder = capsule.installation.data().join("agent/volume/machines").join(&capsule.id);
    let mut bytes = 0;
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        bytes += entry?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}

pub(crate) async fn idle_ones_are_paused(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule_with(json!({ "timeout_sec": 3 })).await?;
    // A command that runs is use, however long it says nothing.
    capsule.shell("sleep 5").await?;
    ensure!(capsule.show().await?["status"] == "running", "a capsule in use was paused");
    capsule.wait_for("paused", Duration::from_secs(30)).await?;
    capsule.resume().await?;
    for _ in 0..5 {
        ensure!(capsule.ask("ping").await?.status == 204, "a ping is refused");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    ensure!(capsule.show().await?["status"] == "running", "a capsule that was pinged was paused");
    capsule.delete().await
}

pub(crate) async fn first_requests_after_a_resume_work(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let mut numbers = BTreeSet::new();
    for _ in 0..3 {
        capsule.pause().await?;
        // Long enough for a clock that stands still to be seen.
        tokio::time::sleep(Duration::from_secs(2)).await;
        capsule.resume().await?;
        // The gateway answers at once; who it is was known before the pause.
        let first = capsule
            .shell("date +%s; ip route get 1.1.1.1 | head -1; head -c 16 /dev/urandom | od -An -tx1")
            .await?;
        let mut lines = first.lines();
        let inside: i64 = lines.next().unwrap_or_default().parse().context("seconds")?;
        let outside = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs())?;
        ensure!((inside - outside).abs() <= 2, "its clock says {inside}, ours {outside}");
        ensure!(numbers.insert(lines.last().unwrap_or_default().to_owned()), "the same random numbers twice");
    }
    let hostname = capsule.shell("hostname").await?;
    ensure!(hostname.trim() == capsule.id, "its name is {hostname}");
    capsule.delete().await
}

pub(crate) async fn paused_ones_survive_everything(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("echo kept > /dev/shm/mark").await?;
    capsule.pause().await?;
    // Its network is given back only after the answer.
    let before = settled(installation).await?;
    for process in ["agent", "server", "postgres"] {
        installation.kill(process).await?;
        ensure!(capsule.show().await?["status"] == "paused", "lost with the {process}");
    }
    installation.stop(Signal::SIGINT).await?;
    ensure!(machines(&installation.data())?.iter().all(|(_, line)| !line.contains(&capsule.id)), "it runs");
    installation.start().await?;
    // Networks that are made ahead take a moment.
    until("the host has what it had before", RECOVERY, async || {
        let now = Traces::of(installation)?;
        ensure!(now == before, "{}", now.difference(&before));
        Ok(Some(()))
    })
    .await?;
    let shown = capsule.show().await?;
    ensure!(shown["status"] == "paused" && shown["operation"].is_null(), "{shown}");
    capsule.resume().await?;
    ensure!(capsule.shell("cat /dev/shm/mark").await? == "kept\n", "its memory is lost");
    capsule.delete().await
}

pub(crate) async fn memory_of_another_vmm_is_refused(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("echo kept > /root/mark; sync; echo lost > /dev/shm/mark").await?;
    capsule.pause().await?;
    // As if the host had got another version of its VMM meanwhile.
    let folder = installation.data().join("agent/volume/machines").join(&capsule.id);
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path)?)?;
    ensure!(manifest["fingerprint"]["vmm_version"].is_string(), "{manifest}");
    manifest["fingerprint"]["vmm_version"] = "0.0.1".into();
    fs::write(&path, serde_json::to_vec(&manifest)?)?;

    is_refused_and_booted(&capsule, &["0.0.1"]).await?;
    capsule.delete().await
}

/// Resumes a capsule that was paused by another VMM, with a mark on its disk and one in its memory.
pub(crate) async fn is_refused_and_booted(capsule: &Capsule<'_>, versions: &[&str]) -> anyhow::Result<()> {
    let refused = capsule.ask("resume").await?;
    ensure!(refused.status == 502 && refused.text("/error/code") == "agent_error", "{refused:?}");
    let message = refused.text("/error/message");
    for word in versions.iter().chain(&["drop_memory"]) {
        ensure!(message.contains(word), "no {word} in: {message}");
    }
    let shown = capsule.show().await?;
    ensure!(shown["status"] == "paused" && !shown["last_error"].is_null(), "{shown}");

    let path = format!("{}/resume", capsule.path());
    let booted =
        capsule.installation.client()?.post(&path, &json!({ "drop_memory": true })).await?.success()?;
    ensure!(booted["status"] == "running" && booted["last_error"].is_null(), "{booted}");
    let warning = booted.pointer("/warnings/0").and_then(Value::as_str).unwrap_or_default();
    ensure!(warning.contains("last seconds before the pause"), "no word of what may be missing: {booted}");
    ensure!(capsule.shell("cat /root/mark; ls /dev/shm").await? == "kept\n", "not a boot from its own disk");
    Ok(())
}

/// The setting that names a second QEMU, of another version than the one that `up` finds.
const SECOND_QEMU: &str = "WRENN_E2E_SECOND_QEMU";

/// Returns true if there is a second QEMU to test with.
pub(crate) fn has_second_qemu() -> bool {
    env::var_os(SECOND_QEMU).is_some()
}

pub(crate) async fn memory_stays_with_its_version_of_qemu() -> anyhow::Result<()> {
    let first = wrenn_cli::process::find_program("qemu-system-x86_64").context("QEMU is installed")?;
    let second = PathBuf::from(env::var_os(SECOND_QEMU).context(SECOND_QEMU)?);
    let folder = temporary_folder()?;
    let link = folder.path().join("qemu-system-x86_64");
    lead_to(&link, &first)?;
    let installation =
        Installation::start_with_settings(|_| vec![("WRENN_QEMU", link.display().to_string())]).await?;
    let result = async {
        goes_on_under_its_version_only(&installation, &link, [&first, &second]).await?;
        goes_on_under_its_version_only(&installation, &link, [&second, &first]).await
    };
    let result = result.await;
    installation.end().await?;
    result
}

/// Pauses a capsule under the first QEMU, which the installation runs with, and resumes it under the second.
async fn goes_on_under_its_version_only(
    installation: &Installation,
    link: &Path,
    [before, after]: [&Path; 2],
) -> anyhow::Result<()> {
    let (paused, running) = (installation.capsule().await?, installation.capsule().await?);
    for capsule in [&paused, &running] {
        capsule.shell("echo kept > /root/mark; sync; echo lost > /dev/shm/mark").await?;
    }
    paused.pause().await?;
    installation.stop(Signal::SIGINT).await?;
    lead_to(link, after)?;
    installation.start().await?;
    // Its memory is that of the QEMU which it was started with, however late it is paused.
    running.wait_for("running", Duration::from_secs(20)).await?;
    running.pause().await?;
    for capsule in [&paused, &running] {
        is_refused_and_booted(capsule, &[&version(before)?, &version(after)?]).await?;
        capsule.delete().await?;
    }
    // New ones do not start from what the other version has left, either.
    let new = installation.capsule().await?;
    new.shell("true").await?;
    new.delete().await
}

/// Makes a link, by which `up` runs its QEMU, lead to a program.
fn lead_to(link: &Path, program: &Path) -> anyhow::Result<()> {
    let new = link.with_extension("new");
    symlink(program, &new).with_context(|| new.display().to_string())?;
    fs::rename(&new, link).with_context(|| link.display().to_string())
}

/// Version that a QEMU prints, `10.0.2`.
fn version(program: &Path) -> anyhow::Result<String> {
    let output =
        Command::new(program).arg("--version").output().with_context(|| program.display().to_string())?;
    let text = String::from_utf8(output.stdout)?;
    let version = text.split_whitespace().skip_while(|&word| word != "version").nth(1);
    Ok(version.with_context(|| format!("no version in {text}"))?.to_owned())
}

pub(crate) async fn while_the_host_is_away(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.pause().await?;
    // Whoever would start another agent stands still.
    let up = Pid::from_raw(installation.pid("up")?);
    kill(up, Signal::SIGSTOP)?;
    let result = refused_while_away(installation, &capsule).await;
    kill(up, Signal::SIGCONT)?;
    result?;
    installation.healthy().await?;
    capsule.resume().await?;
    capsule.delete().await
}

async fn refused_while_away(installation: &Installation, capsule: &Capsule<'_>) -> anyhow::Result<()> {
    kill(Pid::from_raw(installation.pid("agent")?), Signal::SIGKILL)?;
    let refused = until("the server knows that the host is away", RECOVERY, async || {
        let answer = capsule.ask("resume").await?;
        ensure!(answer.status == 503, "{answer:?}");
        Ok(Some(answer))
    })
    .await?;
    ensure!(refused.text("/error/code") == "host_unavailable", "{refused:?}");
    ensure!(refused.text("/error/message").contains("away"), "{refused:?}");
    Ok(())
}
