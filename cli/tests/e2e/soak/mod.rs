//! The soak: clients work on capsules while everything that can be killed is killed, and nothing may be lost.
//!
//! ```text
//!   4 workers ── create, write, read, pause, resume, snapshot, create from it, destroy ──▶ capsules
//!   chaos     ── kill agent, server, VMM, Postgres, Redis; cut the link ───────────────▶ everything
//!                start and kill a second server, to which no host is attached
//!   witness   ── ask the second server for operations, and be refused ─────────────────▶ a capsule
//!   then      ── every acknowledged byte is there; host and database hold nothing but what was there before
//! ```
//!
//! `WRENN_SOAK_SEED` and `WRENN_SOAK_OPERATIONS` run another one, `WRENN_SOAK_CAPSULES` a wider one:
//!
//! ```console
//! # WRENN_E2E=1 WRENN_SOAK_SEED=7 WRENN_SOAK_OPERATIONS=2000 cargo test -p wrenn-cli --test e2e -- soak
//! ```

mod chaos;
mod ledger;
mod second;
mod worker;

use std::{
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::task::{JoinSet, LocalSet};

use self::{
    chaos::Chaos,
    second::{SecondServer, Witness},
    worker::Worker,
};
use crate::{
    installation::Installation,
    traces::{Traces, machines},
    wait::{RECOVERY, until},
    windows::settled,
};

/// What the tests run.
const SEED: u64 = 20_261_125;
const OPERATIONS: usize = 200;
const CAPSULES: usize = 4;
/// A machine that is quick goes on until so much has been killed: everything, three times.
const FAULTS: usize = 3 * chaos::BAG.len();
/// Longest that the whole may take, beyond what each operation may.
const LIMIT: Duration = Duration::from_secs(1200);

fn setting<T: std::str::FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    match env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} must be a number")),
        Err(_) => Ok(default),
    }
}

pub(crate) async fn nothing_is_lost() -> anyhow::Result<()> {
    let seed = setting("WRENN_SOAK_SEED", SEED)?;
    let operations = setting("WRENN_SOAK_OPERATIONS", OPERATIONS)?;
    let capsules = setting("WRENN_SOAK_CAPSULES", CAPSULES)?;
    let installation = Arc::new(Installation::start_new().await?);
    let soak = soak(&installation, seed, operations, capsules);
    let result = LocalSet::new().run_until(soak).await;
    let ended = installation.end().await;
    result.with_context(|| format!("with WRENN_SOAK_SEED={seed}"))?;
    ended
}

async fn soak(
    installation: &Arc<Installation>,
    seed: u64,
    operations: usize,
    capsules: usize,
) -> anyhow::Result<()> {
    // What a first boot leaves for the next ones is not left by the soak.
    installation.capsule().await?.delete().await?;
    let before = settled(installation).await?;

    let begun = Instant::now();
    let done = Arc::new(AtomicUsize::new(0));
    let mut second = SecondServer::new(installation)?;
    second.start().await?;
    let witness = Witness::new(installation, &second).await?;
    let chaos = Chaos::begin(installation.clone(), second, seed);
    let mut workers = JoinSet::new();
    for number in 0..capsules {
        let mut worker = Worker::new(installation.clone(), chaos.victims(), seed, number);
        let (done, caused) = (done.clone(), chaos.caused());
        workers.spawn_local(async move {
            while done.fetch_add(1, Ordering::Relaxed) < operations || caused.load(Ordering::Relaxed) < FAULTS
            {
                worker.operate().await?;
            }
            anyhow::Ok(worker)
        });
    }
    let worked = tokio::select! {
        worked = tokio::time::timeout(LIMIT, workers.join_all()) => worked,
        harm = witness.ask() => return Err(harm),
    };
    let victims = chaos.victims();
    let (kills, mut second) = chaos.end().await?;
    let workers = worked.context("the soak does not end")?;
    // Also what follows happens beside it.
    second.start().await?;
    installation.healthy().await?;
    let done = done.load(Ordering::Relaxed);
    let refusals =
        witness.finish(&victims).await.context("the capsule that only the second server was asked for")?;
    println!(
        "soak: {done} operations, {kills:?}, {refusals} refusals of the second server, {} s",
        begun.elapsed().as_secs()
    );

    let mut names = Vec::new();
    for worker in workers {
        let mut worker = worker?;
        worker.verify().await?;
        names.extend(worker.finish().await?);
    }
    let client = installation.client()?;
    for name in names {
        let deleted = client.delete(&format!("/v1/snapshots/{name}")).await?;
        ensure!(deleted.status == 204 || deleted.status == 404, "{deleted:?}");
    }
    nothing_is_left(installation, &before).await?;
    second.end().await
}

async fn nothing_is_left(installation: &Installation, before: &Traces) -> anyhow::Result<()> {
    let client = installation.client()?;
    let capsules = client.get("/v1/capsules").await?.success()?;
    ensure!(capsules.as_array().is_some_and(Vec::is_empty), "capsules are left: {capsules}");
    ensure!(machines(&installation.data())?.is_empty(), "virtual machines are left");
    until("the host looks as it did before", RECOVERY, async || {
        let now = Traces::of(installation)?;
        ensure!(now == *before, "{}", now.difference(before));
        Ok(Some(()))
    })
    .await?;
    for (what, query) in [
        ("sandboxes that are not gone", "SELECT count(*) FROM sandboxes WHERE destroyed_at IS NULL"),
        ("operations in flight", "SELECT count(*) FROM sandboxes WHERE operation IS NOT NULL"),
        ("templates of capsules", "SELECT count(*) FROM templates WHERE image IS NULL"),
        ("places of templates", "SELECT count(*) FROM template_hosts"),
    ] {
        let count = ask_database(installation, query)?;
        ensure!(count == "0", "the database holds {count} {what}");
    }
    Ok(())
}

fn ask_database(installation: &Installation, query: &str) -> anyhow::Result<String> {
    let url = installation.server_setting("DATABASE_URL")?;
    let output = Command::new("psql").args(["-XAt", &url, "-c", query]).output().context("psql")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
