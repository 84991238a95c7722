//! Templates that are made of capsules.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    installation::Installation,
    traces::Traces,
    wait::{RECOVERY, until},
    windows::settled,
};

pub(crate) async fn capsules_of_a_snapshot_go_on(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    installation.capsule().await?.delete().await?;
    let before = settled(installation).await?;

    let source = installation.capsule_with(json!({ "envs": { "GREETING": "hello" } })).await?;
    source
        .shell("echo disk > /root/mark; echo memory > /dev/shm/mark; nohup sleep 1000 >/dev/null 2>&1 &")
        .await?;
    let made = source.snapshot("e2e-snap", "snapshot").await?;
    ensure!(made.status == 201 && made.text("/type") == "snapshot", "{made:?}");
    ensure!(source.show().await?["status"] == "running", "the source does not run any more");
    source.shell("echo later > /root/mark; echo later > /dev/shm/mark").await?;

    let copy = installation.capsule_of("e2e-snap").await?;
    let marks = copy.shell("cat /root/mark /dev/shm/mark; echo $GREETING; pgrep -c sleep").await?;
    ensure!(marks == "disk\nmemory\nhello\n1\n", "{marks}");
    ensure!(copy.shell("hostname").await?.trim() == copy.id, "it has the name of its source");
    copy.shell("echo copy > /root/mark").await?;
    ensure!(source.shell("cat /root/mark").await? == "later\n", "the copy writes to its source");
    let random = "head -c 16 /dev/urandom | od -An -tx1";
    let twin = installation.capsule_of("e2e-snap").await?;
    ensure!(
        copy.shell(random).await? != twin.shell(random).await?,
        "two capsules have the same random numbers"
    );
    twin.delete().await?;

    // Of a paused one, too; and a larger disk is grown while it runs.
    source.pause().await?;
    let of_paused = source.snapshot("e2e-paused", "snapshot").await?;
    ensure!(of_paused.status == 201, "{of_paused:?}");
    ensure!(source.show().await?["status"] == "paused", "it is not paused any more");
    let larger = installation.capsule_with(json!({ "template": "e2e-paused", "disk_size_mb": 8192 })).await?;
    ensure!(larger.shell("cat /dev/shm/mark").await? == "later\n", "not the memory that was saved");
    let size: u64 =
        larger.shell("df --output=size -m / | tail -1").await?.trim().parse().context("a size")?;
    ensure!(size > 7500, "its disk has {size} MB");
    larger.delete().await?;

    // What is deleted leaves nothing, and nobody minds who came of it.
    for name in ["e2e-snap", "e2e-paused"] {
        let deleted = client.delete(&format!("/v1/snapshots/{name}")).await?;
        ensure!(deleted.status == 204, "{deleted:?}");
        let again = client.delete(&format!("/v1/snapshots/{name}")).await?;
        ensure!(again.status == 404, "{again:?}");
    }
    let gone = client.post("/v1/capsules", &json!({ "template": "e2e-snap" })).await?;
    ensure!(gone.status == 404, "{gone:?}");
    ensure!(copy.shell("cat /root/mark").await? == "copy\n", "it has lost its disk with its template");
    copy.delete().await?;
    source.delete().await?;
    clean(installation, &before).await
}

async fn clean(installation: &Installation, before: &Traces) -> anyhow::Result<()> {
    until("the host looks as it did before", Duration::from_secs(20), async || {
        let now = Traces::of(installation)?;
        ensure!(now == *before, "{}", now.difference(before));
        Ok(Some(()))
    })
    .await
}

pub(crate) async fn names_are_taken_and_replaced(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    let capsule = installation.capsule().await?;
    capsule.shell("echo one > /dev/shm/mark").await?;
    let first = capsule.snapshot("e2e-name", "snapshot").await?;
    ensure!(first.status == 201, "{first:?}");
    let first = first.text("/id").to_owned();
    let files = installation.data().join("agent/volume/templates").join(&first);
    ensure!(files.is_dir(), "{} is there", files.display());
    let taken = capsule.snapshot("e2e-name", "snapshot").await?;
    ensure!(taken.status == 409 && taken.text("/error/code") == "template_name_taken", "{taken:?}");
    let reserved = capsule.snapshot("minimal", "snapshot").await?;
    ensure!(reserved.status == 409 && reserved.text("/error/code") == "name_reserved", "{reserved:?}");
    let bad = capsule.snapshot("Not A Name", "snapshot").await?;
    ensure!(bad.status == 400 && bad.text("/error/message").contains("name"), "{bad:?}");
    let foreign = client.delete("/v1/snapshots/minimal").await?;
    ensure!(foreign.status == 403 && foreign.text("/error/code") == "forbidden", "{foreign:?}");

    capsule.shell("echo two > /dev/shm/mark").await?;
    let body = json!({ "sandbox_id": capsule.id, "name": "e2e-name" });
    let replaced = client.post("/v1/snapshots?overwrite=true", &body).await?;
    ensure!(replaced.status == 201, "{replaced:?}");
    let listed = client.get("/v1/snapshots?type=snapshot").await?.success()?;
    let named = listed.as_array().context("a list")?.iter().filter(|it| it["name"] == "e2e-name").count();
    ensure!(named == 1, "{listed}");
    let copy = installation.capsule_of("e2e-name").await?;
    ensure!(copy.shell("cat /dev/shm/mark").await? == "two\n", "the template was not replaced");
    // Beside others, such as those that builds keep.
    until("the files of the replaced template are gone", RECOVERY, async || {
        Ok((!files.exists()).then_some(()))
    })
    .await?;
    copy.delete().await?;
    capsule.delete().await?;
    client.delete("/v1/snapshots/e2e-name").await?.success().map(drop)
}

pub(crate) async fn a_flattened_disk_is_small_and_boots(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    let capsule = installation.capsule().await?;
    // Much is written and deleted; what is left counts.
    capsule.shell("head -c 150000000 /dev/zero | tr '\\0' x > /root/much; sync; rm /root/much; echo kept > /root/mark").await?;
    let made = capsule.snapshot("e2e-flat", "base").await?;
    ensure!(made.status == 201 && made.text("/type") == "base", "{made:?}");
    let (size, disk) = (made.body["size_bytes"].as_u64(), made.body["disk_size_mb"].as_u64());
    ensure!(size.is_some_and(|size| size < 320 << 20) && disk.is_some_and(|disk| disk < 600), "{made:?}");
    ensure!(capsule.shell("cat /root/mark").await? == "kept\n", "the source does not run on");
    capsule.delete().await?;

    let copy = installation.capsule_of("e2e-flat").await?;
    ensure!(copy.shell("cat /root/mark").await? == "kept\n", "not its disk");
    let size: u64 = copy.shell("df --output=size -m / | tail -1").await?.trim().parse().context("a size")?;
    ensure!(size > 4500, "its disk has {size} MB, and 5120 are the default");
    copy.delete().await?;
    client.delete("/v1/snapshots/e2e-flat").await?.success().map(drop)
}
