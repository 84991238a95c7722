//! `wrenn bench`: every number that Wrenn says about itself.
//!
//! ```text
//!   running installation ◀── REST ── boot, exec, memory          scenarios
//!                                    create, pause, snapshot, …  suspended
//!                                    uploads and downloads       files
//!                                    preview                     preview
//!                                    builds                      build
//!   its own installations ◀───────── up
//!   its own server, simulated hosts  scale, tenants
//! ```
//!
//! Prints a table for people or JSON for programs. Machines are noisy, so the ratio to the smallest value stands beside
//! each percentile: it shows how far to trust the others. Whatever fails, capsules and templates that were made are
//! deleted.

mod build;
mod capsule;
mod database;
mod files;
mod fleet;
mod measurement;
mod preview;
mod processes;
mod scale;
mod scenarios;
mod socket;
mod stats;
mod subject;
mod suspended;
mod tap;
mod tenants;
mod terminal;
mod up;

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use wrenn_base::{Clock, Rng};

use self::{
    measurement::{Measurement, table},
    subject::Subject,
};
use crate::{
    client::Client,
    data::DataFolder,
    progress::{Step, note},
    up::dev_env::{self, DevEnv},
};

/// `wrenn bench`: measures a running installation.
#[derive(Debug, clap::Args)]
pub struct BenchCommand {
    /// What to measure; if nothing is named, everything that a running installation answers in a minute or two.
    scenarios: Vec<Scenario>,
    /// Data folder of the running installation.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// How often each thing is measured; each scenario has its own default.
    #[arg(long, short = 'n', value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    #[command(flatten)]
    scale: scale::ScaleOptions,
    #[command(flatten)]
    tenants: tenants::TenantOptions,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is measured if nothing is named.
const USUAL: [Scenario; 6] =
    [Scenario::Boot, Scenario::Exec, Scenario::Memory, Scenario::Create, Scenario::Pause, Scenario::Snapshot];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// From the request for a capsule to the answer of its first command.
    Boot,
    /// Round trip of `/bin/true`.
    Exec,
    /// Memory of server, agent and one idle capsule.
    Memory,
    /// From the request for a capsule that is restored to the answer of its first command.
    Create,
    /// A pause, and a resume to the answer of the first command.
    Pause,
    /// A snapshot of a running capsule, and a capsule that is made of it.
    Snapshot,
    /// The last three for small and large memories and disks.
    Sizes,
    /// A request to a web server in a capsule, through its preview and without it.
    Preview,
    /// A file of 128 MB up and down, against a plain TCP copy.
    Files,
    /// From a key to its echo in a terminal, alone and beside a flood of output.
    Terminal,
    /// What a build costs beyond its commands.
    Build,
    /// From nothing, and again, to a ready installation in a temporary data folder.
    Up,
    /// A server of its own with many simulated hosts: its start, and the loss and return of all of them.
    Scale,
    /// A server of its own with many teams on simulated hosts: creation and lists of capsules, sign-in, idle sockets.
    Tenants,
}

impl BenchCommand {
    /// Measures and prints.
    pub async fn run(self, clock: Clock, rng: Rng) -> anyhow::Result<()> {
        let scenarios = match self.scenarios.as_slice() {
            [] => &USUAL,
            named => named,
        };
        let mut measurements = Vec::new();
        for scenario in scenarios {
            let step =
                (!self.json).then(|| Step::begin(&clock, format!("measuring {scenario:?}").to_lowercase()));
            measurements.extend(self.measure(*scenario, &clock, &rng).await?);
            if let Some(step) = step {
                step.done();
            }
        }
        note(if self.json { serde_json::to_string_pretty(&measurements)? } else { table(&measurements) });
        Ok(())
    }

    async fn measure(
        &self,
        scenario: Scenario,
        clock: &Clock,
        rng: &Rng,
    ) -> anyhow::Result<Vec<Measurement>> {
        let subject = || -> anyhow::Result<Subject> {
            Ok(Subject { client: Client::of(&self.env()?)?, clock: clock.clone(), rng: rng.clone() })
        };
        match scenario {
            Scenario::Boot => scenarios::boot(&subject()?, self.samples.unwrap_or(5)).await,
            Scenario::Exec => scenarios::exec(&subject()?, self.samples.unwrap_or(100)).await,
            Scenario::Memory => scenarios::memory(&subject()?, &DataFolder::open(&self.data)?).await,
            Scenario::Create => suspended::create(&subject()?, self.samples.unwrap_or(20)).await,
            Scenario::Pause => suspended::pause(&subject()?, self.samples.unwrap_or(20)).await,
            Scenario::Snapshot => suspended::snapshot(&subject()?, self.samples.unwrap_or(20)).await,
            Scenario::Sizes => suspended::sizes(&subject()?, self.samples.unwrap_or(5)).await,
            Scenario::Preview => {
                let data = DataFolder::open(&self.data)?;
                preview::preview(&subject()?, &data, self.samples.unwrap_or(200)).await
            }
            Scenario::Files => {
                let data = DataFolder::open(&self.data)?;
                files::measure(&subject()?, &data, self.samples.unwrap_or(5)).await
            }
            Scenario::Terminal => terminal::terminal(&subject()?, self.samples.unwrap_or(300)).await,
            Scenario::Build => build::build(&self.env()?, clock, self.samples.unwrap_or(5)).await,
            Scenario::Up => up::measure(clock, self.samples.unwrap_or(3)).await,
            Scenario::Scale => scale::measure(&self.scale, clock, rng, self.samples.unwrap_or(3)).await,
            Scenario::Tenants => {
                tenants::measure(&self.tenants, clock, rng, self.samples.unwrap_or(5_000)).await
            }
        }
    }

    fn env(&self) -> anyhow::Result<DevEnv> {
        let file = self.data.join(dev_env::FILE_NAME);
        DevEnv::read(&file)?.with_context(|| {
            format!("there is no {}: start an installation with ./scripts/up", file.display())
        })
    }
}
