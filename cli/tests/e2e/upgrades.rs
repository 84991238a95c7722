//! A data folder that an older version has made.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    installation::{Capsule, Installation},
    pausing::is_refused_and_booted,
};

pub(crate) async fn what_an_older_version_saved_has_a_way_back() -> anyhow::Result<()> {
    let installation = Installation::start_new().await?;
    let result = upgrade(&installation).await;
    installation.end().await?;
    result
}

async fn upgrade(installation: &Installation) -> anyhow::Result<()> {
    let (paused, running) = (installation.capsule().await?, installation.capsule().await?);
    for capsule in [&paused, &running] {
        capsule.shell("echo kept > /root/mark; sync; echo lost > /dev/shm/mark").await?;
    }
    running.snapshot("e2e-old", "snapshot").await?.success()?;
    paused.pause().await?;

    installation.stop(Signal::SIGINT).await?;
    make_older(&installation.data().join("agent")).context("make the data folder older")?;
    installation.start().await?;

    running.wait_for("running", Duration::from_secs(20)).await?;
    ensure!(running.shell("cat /dev/shm/mark").await? == "lost\n", "a running capsule lost its memory");
    running.pause().await?;
    for capsule in [&paused, &running] {
        is_refused_and_booted(capsule, &["it was saved"]).await?;
    }
    let copy = installation.capsule_of("e2e-old").await?;
    let shown = copy.show().await?;
    let warning = shown.pointer("/warnings/0").and_then(Value::as_str).unwrap_or_default();
    ensure!(warning.contains("booted from the disk of its template"), "no warning: {shown}");
    ensure!(copy.shell("cat /root/mark; ls /dev/shm").await? == "kept\n", "not a boot from its template");
    for capsule in [paused, running, copy] {
        new_machine_is_whole(&capsule).await?;
        capsule.delete().await?;
    }
    Ok(())
}

/// A machine that was booted by this version has what this version gives to machines.
async fn new_machine_is_whole(capsule: &Capsule<'_>) -> anyhow::Result<()> {
    let loaded = capsule.shell("modprobe overlay && grep -c ^overlay /proc/modules").await?;
    ensure!(loaded == "1\n", "no modules: {loaded}");
    Ok(())
}

/// Leaves what is saved in an agent's folder as version 0.1 wrote it on 2026-11-30: it knew layout number 1, which had no disk
/// of modules, described the processor by name and flags, and did not record with what a running machine had been started.
fn make_older(agent: &Path) -> anyhow::Result<()> {
    for parent in ["machines", "templates", "boot"] {
        for folder in entries(&agent.join("volume").join(parent))? {
            let _ = fs::remove_file(folder.join("modules.img"));
            let manifest = folder.join("manifest.json");
            if manifest.exists() {
                edit(&manifest, |manifest| {
                    remove(manifest, "modules");
                    manifest["fingerprint"]["layout"] = 1.into();
                    manifest["fingerprint"]["cpu"] = json!({ "model": "max,erms=off", "flags_hash": 0 });
                })?;
            }
        }
    }
    for record in entries(&agent.join("machines"))? {
        edit(&record, |record| {
            if let Some(vm) = record.pointer_mut("/resources/vm") {
                remove(vm, "fingerprint");
            }
        })?;
    }
    Ok(())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    found.map(|entry| Ok(entry?.path())).collect()
}

fn edit(path: &Path, edit: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let mut value = serde_json::from_slice(&fs::read(path)?).with_context(|| path.display().to_string())?;
    edit(&mut value);
    Ok(fs::write(path, serde_json::to_vec_pretty(&value)?)?)
}

fn remove(value: &mut Value, field: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(field);
    }
}
