//! One server, many hosts, very many sandboxes: what a start of the server and the loss of all hosts cost.
//!
//! ```text
//!   this process                                     wrenn services
//!     server thread: actors, agents' endpoint ─────▶ Postgres, durable
//!        ▲ unix socket
//!     simulated hosts: real agents over pretended machines
//! ```
//!
//! The hosts share process and processors with the server, so a time is that of both together. Every round ends with a
//! check that each sandbox runs in the machine that it was started with. Everything is removed at the end.

mod sandboxes;
mod server;

use std::fs;

use anyhow::{Context, ensure};
use wrenn_base::{Clock, Rng};
use wrenn_domain::lifecycle::SandboxStatus;
use wrenn_proto::ids::TeamId;
use wrenn_store::Store;

use self::{
    sandboxes::Sandboxes,
    server::{INVENTORY_INTERVAL, Server, UNREACHABLE_AFTER},
};
use super::{
    database::Database,
    fleet::{self, Fleet},
    measurement::{Measurement, Unit},
    processes::memory_mb,
};
use crate::stopwatch::Stopwatch;

/// Passes of the reconciler that are measured together.
const PASSES: u32 = 2;
const NS_PER_MS: f64 = 1_000_000.0;

/// What `wrenn bench scale` simulates.
#[derive(Debug, clap::Args)]
pub(super) struct ScaleOptions {
    /// Simulated hosts of `scale`.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    hosts: u32,
    /// Sandboxes of `scale`.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    sandboxes: u32,
}

/// What was measured in each round.
#[derive(Default)]
struct Rounds {
    restarted_ms: Vec<f64>,
    lost_ms: Vec<f64>,
    returned_ms: Vec<f64>,
    hosts_mb: Vec<f64>,
    settled_mb: Vec<f64>,
}

/// Measures; `rounds` restarts of the server, and losses of all hosts.
pub(super) async fn measure(
    options: &ScaleOptions,
    clock: &Clock,
    rng: &Rng,
    rounds: u32,
) -> anyhow::Result<Vec<Measurement>> {
    fleet::prepare_process();
    let mut database = Database::start("scale")?;
    let measured = measure_on(&mut database, options, clock, rng, rounds).await;
    let stopped = database.stop().await;
    let measured = measured?;
    stopped.map(|()| measured)
}

async fn measure_on(
    database: &mut Database,
    options: &ScaleOptions,
    clock: &Clock,
    rng: &Rng,
    rounds: u32,
) -> anyhow::Result<Vec<Measurement>> {
    let url = database.urls(clock).await?.database;
    let addr = format!("unix:{}", database.folder().join("agents.sock").display());
    let server = Server::start(&url, &addr, clock.clone(), rng.clone()).await?;
    let store = Store::open(&url, 2).await?;
    let minimal = store.template_find(TeamId::PLATFORM, "minimal").await?.context("no template `minimal`")?;

    let begun = Stopwatch::start(clock);
    let mut fleet = Fleet::start(store, &addr, options.hosts, options.sandboxes, clock.clone(), rng).await?;
    let joined_ms = begun.ms();
    let idle_mb = own_memory_mb()?;

    let begun = Stopwatch::start(clock);
    let (sandboxes, requests_ms) =
        Sandboxes::create(&server.control_plane, &minimal, options.sandboxes, clock).await?;
    sandboxes.settled(&fleet, &server.control_plane).await?;
    let created_ms = begun.ms();
    let created_per_sec = f64::from(options.sandboxes) * 1000.0 / created_ms;
    let created_mb = own_memory_mb()?;
    let pass_ms = reconciler_pass_ms(clock).await?;

    let mut measured = Rounds::default();
    let mut server = server;
    for _ in 0..rounds {
        server.stop().await?;
        measured.hosts_mb.push(own_memory_mb()?);
        let begun = Stopwatch::start(clock);
        server = Server::start(&url, &addr, clock.clone(), rng.clone()).await?;
        sandboxes.settled(&fleet, &server.control_plane).await?;
        measured.restarted_ms.push(begun.ms());
        lose_all(&server, &mut fleet, &sandboxes, clock, &mut measured).await?;
    }
    drop(fleet);
    server.stop().await?;

    let Rounds { restarted_ms, lost_ms, returned_ms, hosts_mb, settled_mb } = measured;
    let lost_name =
        format!("loss of all hosts to all missing, of which {} s are silence", UNREACHABLE_AFTER.as_secs());
    Ok(vec![
        Measurement::new("hosts register and attach, one after the other", Unit::Ms, &[joined_ms])?,
        Measurement::new("request for a sandbox", Unit::Ms, &requests_ms)?,
        Measurement::new("sandboxes from request to running", Unit::PerSecond, &[created_per_sec])?,
        Measurement::new("processor time of one reconciler pass", Unit::Ms, &[pass_ms])?,
        Measurement::new("restart of the server to all settled", Unit::Ms, &restarted_ms)?,
        Measurement::new(lost_name, Unit::Ms, &lost_ms)?,
        Measurement::new("return of all hosts to all settled", Unit::Ms, &returned_ms)?,
        Measurement::new("memory before the first sandbox", Unit::Mb, &[idle_mb])?,
        Measurement::new("memory when all run", Unit::Mb, &[created_mb])?,
        Measurement::new("memory of the hosts, without the server", Unit::Mb, &hosts_mb)?,
        Measurement::new("memory after each round", Unit::Mb, &settled_mb)?,
    ])
}

/// The loss and the return of all hosts.
async fn lose_all(
    server: &Server,
    fleet: &mut Fleet,
    sandboxes: &Sandboxes,
    clock: &Clock,
    measured: &mut Rounds,
) -> anyhow::Result<()> {
    let begun = Stopwatch::start(clock);
    fleet.lose().await;
    fleet.all(SandboxStatus::Missing, sandboxes.count()).await?;
    measured.lost_ms.push(begun.ms());

    let begun = Stopwatch::start(clock);
    fleet.bring_back().await?;
    sandboxes.settled(fleet, &server.control_plane).await?;
    measured.returned_ms.push(begun.ms());
    measured.settled_mb.push(own_memory_mb()?);
    Ok(())
}

/// Processor time that a pass of the reconciler costs server and hosts, with all else that an idle system does meanwhile.
async fn reconciler_pass_ms(clock: &Clock) -> anyhow::Result<f64> {
    let before_ms = processor_time_ms()?;
    clock.sleep(INVENTORY_INTERVAL * PASSES).await;
    Ok((processor_time_ms()? - before_ms) / f64::from(PASSES))
}

fn own_memory_mb() -> anyhow::Result<f64> {
    memory_mb(std::process::id())
}

/// Time that the threads of this process have run.
fn processor_time_ms() -> anyhow::Result<f64> {
    let mut total_ns = 0.0;
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path().join("schedstat");
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let ns = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
        total_ns += ns.with_context(|| format!("no time in {}", path.display()))?;
    }
    ensure!(total_ns > 0.0, "the kernel does not count the time of threads");
    Ok(total_ns / NS_PER_MS)
}
