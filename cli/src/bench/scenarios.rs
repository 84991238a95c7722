//! Measurements of a running installation, as a client sees it.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::time::sleep;
use wrenn_agent::leftovers::Leftovers;

use super::{Measurement, Unit, processes::memory_mb};
use crate::{client::Client, data::DataFolder, up::AGENT_FOLDER};

/// Time for a new capsule to end what it does after its start.
const SETTLE: Duration = Duration::from_secs(10);

/// A capsule that is deleted by [`delete`](Self::delete).
struct Capsule<'a> {
    client: &'a Client,
    path: String,
}

impl<'a> Capsule<'a> {
    async fn create(client: &'a Client) -> anyhow::Result<Self> {
        let created = client.post("/v1/capsules?wait=true", &json!({ "template": "minimal" })).await?;
        let id = created.text("/id").to_owned();
        let capsule = Self { client, path: format!("/v1/capsules/{id}") };
        if created.text("/status") != "running" {
            if !id.is_empty() {
                capsule.delete().await?;
            }
            created.clone().success()?;
            anyhow::bail!("the capsule does not run: {}", created.body);
        }
        Ok(capsule)
    }

    async fn run_true(&self) -> anyhow::Result<()> {
        let body = json!({ "cmd": "/bin/true", "args": [] });
        let result = self.client.post(&format!("{}/exec", self.path), &body).await?.success()?;
        ensure!(result["exit_code"] == 0, "/bin/true failed: {result}");
        Ok(())
    }

    async fn delete(self) -> anyhow::Result<()> {
        self.client.delete(&self.path).await?.success().map(drop)
    }
}

fn ms_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Cold boot: to `running`, and to the answer of the first command.
pub(super) async fn boot(client: &Client, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let (mut running, mut first_exec, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..samples {
        let begun = Instant::now();
        let capsule = Capsule::create(client).await?;
        running.push(ms_since(begun));
        let outcome = capsule.run_true().await;
        first_exec.push(ms_since(begun));
        let begun = Instant::now();
        capsule.delete().await?;
        gone.push(ms_since(begun));
        outcome?;
    }
    Ok(vec![
        Measurement::new("cold boot to running", Unit::Ms, &running)?,
        Measurement::new("cold boot to first exec", Unit::Ms, &first_exec)?,
        Measurement::new("delete", Unit::Ms, &gone)?,
    ])
}

/// Round trips of `/bin/true` in one capsule, one after the other.
pub(super) async fn exec(client: &Client, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let capsule = Capsule::create(client).await?;
    let result = round_trips(&capsule, samples).await;
    capsule.delete().await?;
    Ok(vec![Measurement::new("exec round trip of /bin/true", Unit::Ms, &result?)?])
}

async fn round_trips(capsule: &Capsule<'_>, samples: u32) -> anyhow::Result<Vec<f64>> {
    // The first fills the guest's page cache.
    for _ in 0..3 {
        capsule.run_true().await?;
    }
    let mut values = Vec::new();
    for _ in 0..samples {
        let begun = Instant::now();
        capsule.run_true().await?;
        values.push(ms_since(begun));
    }
    Ok(values)
}

/// Memory of the processes, with one idle capsule.
pub(super) async fn memory(client: &Client, data: &DataFolder) -> anyhow::Result<Vec<Measurement>> {
    let before = machines(data);
    let capsule = Capsule::create(client).await?;
    sleep(SETTLE).await;
    let measured = measure_memory(data, &before);
    capsule.delete().await?;
    measured
}

fn measure_memory(data: &DataFolder, before: &BTreeSet<u32>) -> anyhow::Result<Vec<Measurement>> {
    let after = machines(data);
    let machine = after.difference(before).next().context("the new capsule has no process")?;
    let of = |name: &str| -> anyhow::Result<f64> {
        let path = data.pid_file(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        memory_mb(text.trim().parse().with_context(|| format!("no pid in {}", path.display()))?)
    };
    Ok(vec![
        Measurement::new("memory of the server", Unit::Mb, &[of("server")?])?,
        Measurement::new("memory of the agent", Unit::Mb, &[of("agent")?])?,
        Measurement::new("memory of an idle capsule of 512 MB", Unit::Mb, &[memory_mb(*machine)?])?,
    ])
}

fn machines(data: &DataFolder) -> BTreeSet<u32> {
    Leftovers::scan(&data.path(AGENT_FOLDER)).processes.into_iter().map(|process| process.pid).collect()
}
