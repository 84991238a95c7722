//! One server, many teams: what accounts, quotas and the audit log cost over REST.
//!
//! ```text
//!   this process                            child processes
//!     a client of each team ─── REST ────▶ wrenn server ──▶ wrenn services: Postgres, durable
//!     simulated hosts ◀── unix socket ──────┘
//! ```
//!
//! The server is a process of its own, so its memory is not that of the hosts; the processors are shared, so a time is that of
//! server, hosts, database and clients together. Everything is removed at the end.

mod server;
mod sockets;
mod team;

use anyhow::{Context, anyhow, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use wrenn_base::{Clock, Rng};
use wrenn_domain::lifecycle::SandboxStatus;
use wrenn_proto::ids::SandboxId;
use wrenn_store::Store;

use self::{server::Server, team::Team};
use super::{
    database::Database,
    fleet::{self, CLIENTS, Fleet, MEMORY_MB},
    measurement::{Measurement, Unit},
};
use crate::{process::EndSignal, stopwatch::Stopwatch};

/// Simulated hosts.
const HOSTS: u32 = 50;
/// Clients that list capsules, or sign in, at once.
const FEW_CLIENTS: usize = 8;
/// Sign-ins of each user, one after the other.
const SIGN_INS_ALONE: usize = 2;
/// Sign-ins of each user among those of others.
const SIGN_INS_TOGETHER: usize = 4;

/// Number of teams and capsules of `wrenn bench tenants`.
#[derive(Debug, clap::Args)]
pub(super) struct TenantOptions {
    /// Teams of `tenants`, each with a user, an API key and a quota.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    teams: u32,
    /// Capsules of `tenants`, spread over the teams.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    capsules: u32,
}

/// Capsule of a team.
struct Capsule<'a> {
    team: &'a Team,
    id: String,
}

/// Duration of each of several requests, and their number per second.
struct Requests {
    took_ms: Vec<f64>,
    per_sec: f64,
}

/// Measures; `lists` requests for a team's capsules.
pub(super) async fn measure(
    options: &TenantOptions,
    clock: &Clock,
    rng: &Rng,
    lists: u32,
) -> anyhow::Result<Vec<Measurement>> {
    fleet::prepare_process();
    // A signal must not leave the database running.
    let mut end = EndSignal::listen()?;
    let mut database = Database::start("tenants")?;
    let measured = tokio::select! {
        measured = measure_on(&mut database, options, clock, rng, lists) => measured,
        () = end.received() => Err(anyhow!("stopped by a signal")),
    };
    let stopped = database.stop().await;
    let measured = measured?;
    stopped.map(|()| measured)
}

async fn measure_on(
    database: &mut Database,
    &TenantOptions { teams, capsules }: &TenantOptions,
    clock: &Clock,
    rng: &Rng,
    lists: u32,
) -> anyhow::Result<Vec<Measurement>> {
    let urls = database.urls(clock).await?;
    let agents_addr = format!("unix:{}", database.folder().join("agents.sock").display());
    let server = Server::start(&urls, database.folder(), &agents_addr, clock).await?;
    let store = Store::open(&urls.database, 2).await?;
    let fleet = Fleet::start(store, &agents_addr, HOSTS, capsules, clock.clone(), rng).await?;
    let teams = team::start(&server.client, teams, capsules, rng).await?;

    let begun = Stopwatch::start(clock);
    let (made, create_ms) = create(&teams, capsules, clock).await?;
    fleet.all(SandboxStatus::Running, made.len()).await?;
    let created_per_sec = f64::from(capsules) * 1000.0 / begun.ms();

    check_lists(&teams, made.len()).await?;
    let teams_in_turn = |requests| teams.iter().cycle().take(requests);
    let listed = requests(teams_in_turn(lists as usize), FEW_CLIENTS, clock, list).await?;

    let sign_ins = |of_each| teams_in_turn(teams.len() * of_each);
    let alone = requests(sign_ins(SIGN_INS_ALONE), 1, clock, Team::sign_in).await?;
    let together = requests(sign_ins(SIGN_INS_TOGETHER), FEW_CLIENTS, clock, Team::sign_in).await?;

    let memory = sockets::measure(&server, &made, clock).await?;
    let ids = made.iter().map(|capsule| capsule.id.parse()).collect::<Result<Vec<SandboxId>, _>>()?;
    fleet.check_machines(&ids)?;
    drop(fleet);
    server.stop().await?;

    let sockets = sockets::COUNT;
    Ok(vec![
        Measurement::new("request for a capsule, 64 at a time", Unit::Ms, &create_ms)?,
        Measurement::new("capsules from request to running", Unit::PerSecond, &[created_per_sec])?,
        Measurement::new("list of a team's capsules, 8 at a time", Unit::Ms, &listed.took_ms)?,
        Measurement::new("lists of a team's capsules", Unit::PerSecond, &[listed.per_sec])?,
        Measurement::new("sign-in, one after the other", Unit::Ms, &alone.took_ms)?,
        Measurement::new("sign-in, 8 at a time", Unit::Ms, &together.took_ms)?,
        Measurement::new("sign-ins", Unit::PerSecond, &[together.per_sec])?,
        Measurement::new("memory of the server before the sockets", Unit::Mb, &[memory.before_mb])?,
        Measurement::new(
            format!("memory of the server with {sockets} idle sockets"),
            Unit::Mb,
            &memory.open_mb,
        )?,
        Measurement::new("memory of each socket", Unit::Kb, &[memory.each_kb])?,
        Measurement::new("memory of the server after the sockets", Unit::Mb, &memory.closed_mb)?,
    ])
}

/// Makes the capsules of all teams in turn, and returns the time that each request took.
async fn create<'a>(
    teams: &'a [Team],
    count: u32,
    clock: &Clock,
) -> anyhow::Result<(Vec<Capsule<'a>>, Vec<f64>)> {
    let wanted = json!({ "template": "minimal", "vcpus": 1, "memory_mb": MEMORY_MB });
    let wanted = &wanted;
    let made: Vec<_> = stream::iter(teams.iter().cycle().take(count as usize))
        .map(|team| async move {
            let begun = Stopwatch::start(clock);
            let answer = team.client.post("/v1/capsules", wanted).await?;
            let took_ms = begun.ms();
            let id = answer.text("/id").to_owned();
            answer.success().context("creation of a capsule")?;
            anyhow::Ok((Capsule { team, id }, took_ms))
        })
        .buffer_unordered(CLIENTS)
        .try_collect()
        .await?;
    Ok(made.into_iter().unzip())
}

/// Lists the capsules of a team, and returns the body unparsed: parsing it would cost more than the request.
async fn list(team: &Team) -> anyhow::Result<Vec<u8>> {
    let answer = team.client.stream(Method::GET, "/v1/capsules", None).await?;
    Ok(answer.bytes().await?.into())
}

/// Checks that the teams have so many capsules together. Also warms connections and caches.
async fn check_lists(teams: &[Team], capsules: usize) -> anyhow::Result<()> {
    let mut found = 0;
    for team in teams {
        let capsules: Value = serde_json::from_slice(&list(team).await?)?;
        found += capsules.as_array().context("the list of capsules is not a list")?.len();
    }
    ensure!(found == capsules, "the teams have {found} capsules");
    Ok(())
}

/// Sends a request as each of the teams, `clients` at once.
async fn requests<'a, T>(
    teams: impl Iterator<Item = &'a Team>,
    clients: usize,
    clock: &Clock,
    request: impl AsyncFn(&'a Team) -> anyhow::Result<T>,
) -> anyhow::Result<Requests> {
    let request = &request;
    let begun = Stopwatch::start(clock);
    let took_ms: Vec<f64> = stream::iter(teams)
        .map(|team| async move {
            let begun = Stopwatch::start(clock);
            request(team).await?;
            anyhow::Ok(begun.ms())
        })
        .buffer_unordered(clients)
        .try_collect()
        .await?;
    let per_sec = took_ms.len() as f64 * 1000.0 / begun.ms();
    Ok(Requests { took_ms, per_sec })
}
