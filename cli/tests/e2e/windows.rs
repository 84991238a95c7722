//! Every window of every operation: what others see in it, and what they may do.
//!
//! The agent holds its work at a named point while a file exists (`WRENN_FAULT_POINTS`). Meanwhile the host is compared
//! with the database all the time, the client that asked is gone, and the capsule must be shown as what it is.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    installation::{Capsule, Installation},
    traces::Traces,
    wait::{RECOVERY, until},
};

/// How often the host is compared with the database.
const LOOK_EVERY_MS: u64 = 20;
/// How long a window stays open: many looks fall into it.
const WINDOW: Duration = Duration::from_millis(600);

/// What the operation is asked with, where it is held, and what the capsule is meanwhile.
struct Window {
    operation: &'static str,
    points: &'static [&'static str],
    shown_as: &'static str,
    ends_as: &'static str,
}

const WINDOWS: [Window; 4] = [
    Window {
        operation: "snapshotting",
        points: &[
            "snapshot.frozen",
            "snapshot.suspended",
            "snapshot.cloned",
            "snapshot.running",
            "snapshot.complete",
        ],
        shown_as: "running",
        ends_as: "running",
    },
    Window {
        operation: "flattening",
        points: &["flatten.cloned", "flatten.flattened", "flatten.complete"],
        shown_as: "running",
        ends_as: "running",
    },
    Window {
        operation: "pausing",
        points: &["pause.suspended", "pause.committed", "pause.killed"],
        shown_as: "running",
        ends_as: "paused",
    },
    Window {
        operation: "resuming",
        points: &["resume.loaded", "resume.committed", "resume.running"],
        shown_as: "paused",
        ends_as: "running",
    },
];

/// An installation whose work can be held.
struct Held {
    installation: Installation,
    points: PathBuf,
}

impl Held {
    async fn start() -> anyhow::Result<Self> {
        let points = std::cell::OnceCell::new();
        let installation = Installation::start_with_settings(|folder| {
            let path = points.get_or_init(|| folder.join("points")).clone();
            let _ = fs::create_dir(&path);
            vec![
                ("WRENN_FAULT_POINTS", path.display().to_string()),
                ("WRENN_INVENTORY_INTERVAL_MS", LOOK_EVERY_MS.to_string()),
            ]
        })
        .await?;
        let points = points.into_inner().context("the folder of the points")?;
        Ok(Self { installation, points })
    }

    fn hold(&self, point: &str) -> anyhow::Result<Hold> {
        let path = self.points.join(format!("{point}.hold"));
        fs::write(&path, "")?;
        Ok(Hold(path))
    }

    async fn reached(&self, point: &str, capsule: &Capsule<'_>) -> anyhow::Result<()> {
        let path = self.points.join(format!("{point}.{}.reached", capsule.id));
        until(&format!("the work reaches {point}"), RECOVERY, async || Ok(path.exists().then_some(()))).await
    }

    fn forget(&self, point: &str, capsule: &Capsule<'_>) {
        let _ = fs::remove_file(self.points.join(format!("{point}.{}.reached", capsule.id)));
    }
}

/// Holds work at a point until it is dropped.
struct Hold(PathBuf);

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Asks for an operation as a client that goes away before the answer.
fn ask_and_leave(capsule: &Capsule<'_>, operation: &str) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let client = capsule.installation.client()?;
    let (path, body) = match operation {
        "snapshotting" => ("/v1/snapshots".to_owned(), json!({ "sandbox_id": capsule.id, "name": "window" })),
        "flattening" => (
            "/v1/snapshots".to_owned(),
            json!({ "sandbox_id": capsule.id, "name": "window", "type": "base" }),
        ),
        "pausing" => (format!("{}/pause", capsule.path()), json!({})),
        _ => (format!("{}/resume", capsule.path()), json!({})),
    };
    Ok(tokio::spawn(async move { drop(client.post(&path, &body).await) }))
}

pub(crate) async fn nobody_is_mistaken() -> anyhow::Result<()> {
    let held = Held::start().await?;
    let result = async {
        for window in &WINDOWS {
            for point in window.points {
                in_window(&held, window, point).await.with_context(|| format!("at {point}"))?;
            }
        }
        Ok(())
    }
    .await;
    held.installation.end().await?;
    result
}

/// Opens one window, looks at everything while it is open, and at what comes of it.
async fn in_window(held: &Held, window: &Window, point: &str) -> anyhow::Result<()> {
    let capsule = held.installation.capsule().await?;
    capsule.shell("echo kept > /dev/shm/mark; echo kept > /root/mark").await?;
    if window.operation == "resuming" {
        capsule.pause().await?;
    }
    let hold = held.hold(point)?;
    let client = ask_and_leave(&capsule, window.operation)?;
    held.reached(point, &capsule).await?;
    client.abort();

    let opened = Instant::now();
    while opened.elapsed() < WINDOW {
        let shown = capsule.show().await?;
        ensure!(is(&shown, window.shown_as, Some(window.operation)), "{shown}");
        // Others are told what is in the way.
        let refused = capsule.ask(if window.operation == "pausing" { "resume" } else { "pause" }).await?;
        ensure!(
            refused.status == 409 && refused.text("/error/message").contains(window.operation),
            "{refused:?}"
        );
    }
    drop(hold);
    capsule.wait_for(window.ends_as, RECOVERY).await?;
    let shown = capsule.show().await?;
    ensure!(shown["last_error"].is_null(), "{shown}");
    if window.ends_as == "paused" {
        capsule.resume().await?;
    }
    ensure!(capsule.shell("cat /dev/shm/mark /root/mark").await? == "kept\nkept\n", "something was lost");
    held.forget(point, &capsule);
    if point.starts_with("snapshot") || point.starts_with("flatten") {
        let deleted = held.installation.client()?.delete("/v1/snapshots/window").await?;
        ensure!(deleted.status == 204, "the template was not made: {deleted:?}");
    }
    capsule.delete().await
}

fn is(shown: &Value, status: &str, operation: Option<&str>) -> bool {
    shown["status"] == status && shown["operation"].as_str() == operation
}

pub(crate) async fn destroying_overtakes_in_every_window() -> anyhow::Result<()> {
    let held = Held::start().await?;
    let result = async {
        // What a first boot leaves for the next ones is not left by the capsule.
        held.installation.capsule().await?.delete().await?;
        let before = settled(&held.installation).await?;
        for window in &WINDOWS {
            for point in window.points {
                let overtaken = overtaken(&held, window, point, &before).await;
                overtaken.with_context(|| format!("at {point}"))?;
            }
        }
        Ok(())
    }
    .await;
    held.installation.end().await?;
    result
}

async fn overtaken(held: &Held, window: &Window, point: &str, before: &Traces) -> anyhow::Result<()> {
    let capsule = held.installation.capsule().await?;
    if window.operation == "resuming" {
        capsule.pause().await?;
    }
    let hold = held.hold(point)?;
    let client = ask_and_leave(&capsule, window.operation)?;
    held.reached(point, &capsule).await?;
    let deleting = {
        let (client, path) = (held.installation.client()?, capsule.path());
        tokio::spawn(async move { client.delete(&path).await })
    };
    until("its removal is begun", RECOVERY, async || {
        let shown = capsule.show().await?;
        Ok((shown["operation"] == "destroying").then_some(()))
    })
    .await?;
    drop(hold);
    let deleted = deleting.await??;
    ensure!(deleted.status == 204, "{deleted:?}");
    client.abort();
    ensure!(is(&capsule.show().await?, "stopped", None), "it is not gone");
    let listed = held.installation.client()?.get("/v1/snapshots").await?.success()?;
    ensure!(listed.as_array().is_some_and(|list| list.iter().all(|it| it["name"] != "window")), "{listed}");
    held.forget(point, &capsule);
    until("the host looks as it did before", RECOVERY, async || {
        let now = Traces::of(&held.installation)?;
        ensure!(now == *before, "{}", now.difference(before));
        Ok(Some(()))
    })
    .await
}

/// Returns what the host has once nothing changes any more; files of capsules that are gone are removed by then.
pub(crate) async fn settled(installation: &Installation) -> anyhow::Result<Traces> {
    until("the host does not change any more", RECOVERY, async || {
        let now = Traces::of(installation)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((Traces::of(installation)? == now && !has_drafts(&installation.data())).then_some(now))
    })
    .await
}

fn has_drafts(data: &Path) -> bool {
    let folders = ["templates", "boot"].map(|name| data.join("agent/volume").join(name));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with('.'))
}
