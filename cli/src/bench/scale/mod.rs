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

mod database;
mod fleet;
mod server;

use std::{fs, io, time::Instant};

use anyhow::{Context, ensure};
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;
use wrenn_domain::lifecycle::SandboxStatus;
use wrenn_proto::ids::TeamId;
use wrenn_store::Store;

use self::{
    database::Database,
    fleet::Fleet,
    server::{INVENTORY_INTERVAL, Server, UNREACHABLE_AFTER},
};
use super::{Measurement, Unit, capsule::ms_since, processes::memory_mb};

/// Passes of the reconciler that are measured together.
const PASSES: u32 = 2;
const NS_PER_MS: f64 = 1_000_000.0;

/// What `wrenn bench scale` simulates.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
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
pub(super) async fn measure(options: &Options, rounds: u32) -> anyhow::Result<Vec<Measurement>> {
    wrenn_agent::raise_open_files_limit();
    wrenn_api::memory::limit();
    // Lines are made as in a real server, but lead nowhere unless somebody asks for them.
    match EnvFilter::try_from_default_env() {
        Ok(filter) => tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init(),
        Err(_) => tracing_subscriber::fmt().with_env_filter("info").with_writer(io::sink).init(),
    }
    let mut database = Database::start()?;
    let measured = measure_on(&mut database, options, rounds).await;
    let stopped = database.stop().await;
    let measured = measured?;
    stopped.map(|()| measured)
}

async fn measure_on(
    database: &mut Database,
    options: &Options,
    rounds: u32,
) -> anyhow::Result<Vec<Measurement>> {
    let url = database.url().await?;
    let addr = format!("unix:{}", database.folder().join("agents.sock").display());
    let server = Server::start(&url, &addr).await?;
    let store = Store::open(&url, 2).await?;
    let minimal = store.template_find(TeamId::PLATFORM, "minimal").await?.context("no template `minimal`")?;

    let begun = Instant::now();
    let mut fleet = Fleet::start(store, &addr, options.hosts, options.sandboxes).await?;
    let joined_ms = ms_since(begun);
    let idle_mb = own_memory_mb()?;

    let begun = Instant::now();
    let requests_ms = fleet.create(&server.control_plane, &minimal, options.sandboxes).await?;
    fleet.settled(&server.control_plane).await?;
    let created_ms = ms_since(begun);
    let created_per_sec = f64::from(options.sandboxes) * 1000.0 / created_ms;
    let created_mb = own_memory_mb()?;
    let pass_ms = reconciler_pass_ms().await?;

    let mut measured = Rounds::default();
    let mut server = server;
    for _ in 0..rounds {
        server = round(server, &mut fleet, &url, &addr, &mut measured).await?;
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

/// A restart of the server, then the loss and the return of all hosts.
async fn round(
    server: Server,
    fleet: &mut Fleet,
    url: &str,
    addr: &str,
    measured: &mut Rounds,
) -> anyhow::Result<Server> {
    server.stop().await?;
    measured.hosts_mb.push(own_memory_mb()?);
    let begun = Instant::now();
    let server = Server::start(url, addr).await?;
    fleet.settled(&server.control_plane).await?;
    measured.restarted_ms.push(ms_since(begun));

    let begun = Instant::now();
    fleet.lose().await;
    fleet.all(SandboxStatus::Missing).await?;
    measured.lost_ms.push(ms_since(begun));

    let begun = Instant::now();
    fleet.bring_back().await?;
    fleet.settled(&server.control_plane).await?;
    measured.returned_ms.push(ms_since(begun));
    measured.settled_mb.push(own_memory_mb()?);
    Ok(server)
}

/// Processor time that a pass of the reconciler costs server and hosts, with all else that an idle system does meanwhile.
async fn reconciler_pass_ms() -> anyhow::Result<f64> {
    let before_ms = processor_time_ms()?;
    sleep(INVENTORY_INTERVAL * PASSES).await;
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
