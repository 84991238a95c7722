//! `wrenn bench`: every number that Wrenn says about itself.
//!
//! Measures a running installation through its REST interface (`boot`, `exec`, `memory`) or starts one of its
//! own (`up`). Prints a table for people or JSON for programs. Machines are noisy, so the ratio to the smallest
//! value stands beside each percentile: it shows how far to trust the others.

mod processes;
mod scenarios;
mod stats;
mod up;

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use self::stats::Summary;
use crate::{
    client::Client,
    data::DataFolder,
    progress::{Step, note},
    up::dev_env::{self, DevEnv},
};

/// `wrenn bench`: measures a running installation.
#[derive(Debug, clap::Args)]
pub struct BenchCommand {
    /// What to measure; everything but `up` if nothing is named.
    scenarios: Vec<Scenario>,
    /// Data folder of the running installation.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// How often each thing is measured; each scenario has its own default.
    #[arg(long, short = 'n', value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// From the request for a capsule to the answer of its first command.
    Boot,
    /// Round trip of `/bin/true`.
    Exec,
    /// Memory of server, agent and one idle capsule.
    Memory,
    /// From nothing, and again, to a ready installation in a temporary data folder.
    Up,
}

/// Unit of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Megabytes of 2²⁰ bytes.
    Mb,
}

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub name: &'static str,
    /// In which unit.
    pub unit: Unit,
    /// What came out.
    #[serde(flatten)]
    pub summary: Summary,
}

impl Measurement {
    fn new(name: &'static str, unit: Unit, values: &[f64]) -> anyhow::Result<Self> {
        Ok(Self { name, unit, summary: Summary::of(values).context("nothing was measured")? })
    }
}

impl BenchCommand {
    /// Measures and prints.
    pub async fn run(self) -> anyhow::Result<()> {
        let scenarios = match self.scenarios.as_slice() {
            [] => &[Scenario::Boot, Scenario::Exec, Scenario::Memory],
            named => named,
        };
        let mut measurements = Vec::new();
        for scenario in scenarios {
            let step = (!self.json).then(|| Step::begin(format!("measuring {scenario:?}").to_lowercase()));
            measurements.extend(self.measure(*scenario).await?);
            if let Some(step) = step {
                step.done();
            }
        }
        note(if self.json { serde_json::to_string_pretty(&measurements)? } else { table(&measurements) });
        Ok(())
    }

    async fn measure(&self, scenario: Scenario) -> anyhow::Result<Vec<Measurement>> {
        match scenario {
            Scenario::Boot => scenarios::boot(&self.client()?, self.samples.unwrap_or(5)).await,
            Scenario::Exec => scenarios::exec(&self.client()?, self.samples.unwrap_or(100)).await,
            Scenario::Memory => scenarios::memory(&self.client()?, &DataFolder::open(&self.data)?).await,
            Scenario::Up => up::measure(self.samples.unwrap_or(3)).await,
        }
    }

    fn client(&self) -> anyhow::Result<Client> {
        let file = self.data.join(dev_env::FILE_NAME);
        let env = DevEnv::read(&file)?.with_context(|| {
            format!("there is no {}: start an installation with ./scripts/up", file.display())
        })?;
        Client::of(&env)
    }
}

/// A Markdown table, as docs/performance.md has them.
fn table(measurements: &[Measurement]) -> String {
    let mut table = String::from(
        "| what | unit | n | min | p50 | p90 | p99 | p99/min |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for Measurement { name, unit, summary } in measurements {
        let unit = match unit {
            Unit::Ms => "ms",
            Unit::Mb => "MB",
        };
        let Summary { samples, min, p50, p90, p99 } = summary;
        let ratio = p99 / min;
        table.push_str(&format!(
            "| {name} | {unit} | {samples} | {min:.1} | {p50:.1} | {p90:.1} | {p99:.1} | {ratio:.1} |\n"
        ));
    }
    table
}
