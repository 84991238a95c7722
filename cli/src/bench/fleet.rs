//! The simulated hosts of a server that is measured.

use std::{io, time::Duration};

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;
use wrenn_agent::sim::{SimHost, SimIdentity, SimOptions};
use wrenn_api::agent_authority;
use wrenn_base::{Clock, Rng};
use wrenn_domain::{host::NewHost, lifecycle::SandboxStatus};
use wrenn_proto::{agent::Capacity, ids::SandboxId};
use wrenn_store::Store;

use crate::stopwatch::Stopwatch;

/// Requests in flight at once.
pub(super) const CLIENTS: usize = 64;
/// Longest time that anything may take.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// Memory of each sandbox.
pub(super) const MEMORY_MB: u32 = 512;
/// Disk of each sandbox.
pub(super) const DISK_MB: u32 = 5120;
/// Interval at which the rows are counted.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// Prepares this process for simulated hosts: its limits, and its log.
pub(super) fn prepare_process() {
    wrenn_agent::raise_open_files_limit();
    wrenn_api::memory::limit();
    // Lines are made as in a real server, but lead nowhere unless somebody asks for them. A scenario before this one may
    // have set the log up.
    let _ = match EnvFilter::try_from_default_env() {
        Ok(filter) => tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init(),
        Err(_) => tracing_subscriber::fmt().with_env_filter("info").with_writer(io::sink).try_init(),
    };
}

/// Simulated hosts.
pub(super) struct Fleet {
    store: Store,
    clock: Clock,
    hosts: Vec<SimHost>,
}

impl Fleet {
    /// Starts hosts that have room for so many sandboxes together; they register, and attach.
    pub(super) async fn start(
        store: Store,
        addr: &str,
        hosts: u32,
        sandboxes: u32,
        clock: Clock,
        rng: &Rng,
    ) -> anyhow::Result<Self> {
        let mut fleet = Self { store, clock, hosts: Vec::new() };
        let each = sandboxes.div_ceil(hosts) + 1;
        let capacity = Capacity {
            cpu_cores: each,
            memory_mb: u64::from(each) * u64::from(MEMORY_MB),
            disk_mb: u64::from(each) * u64::from(DISK_MB),
        };
        let options = SimOptions { capacity, ..SimOptions::default() };
        let authority = agent_authority::ensure(&fleet.store, &fleet.clock).await?.fingerprint();
        for _ in 0..hosts {
            let host = fleet.store.host_create(&NewHost::default()).await?;
            let token =
                agent_authority::issue_registration_token(&fleet.store, rng, authority, host.id, "").await?;
            let identity = SimIdentity::RegistrationToken(token.parse()?);
            fleet.hosts.push(
                SimHost::start(addr.parse()?, identity, options.clone(), fleet.clock.clone(), rng.clone())
                    .await?,
            );
        }
        fleet.attached().await?;
        Ok(fleet)
    }

    /// Waits until all hosts are attached.
    pub(super) async fn attached(&self) -> anyhow::Result<()> {
        let all = join_all(self.hosts.iter().map(SimHost::attached));
        let attached = timeout(LIMIT, all).await.context("hosts do not attach in time")?;
        ensure!(attached.iter().all(|attached| *attached), "a host was refused");
        Ok(())
    }

    /// Waits until so many rows have this status.
    pub(super) async fn all(&self, wanted: SandboxStatus, sandboxes: usize) -> anyhow::Result<()> {
        let begun = Stopwatch::start(&self.clock);
        loop {
            let counts = self.store.sandbox_counts().await?;
            let there = counts.iter().find(|entry| entry.status == wanted).map_or(0, |entry| entry.count);
            if usize::try_from(there) == Ok(sandboxes) {
                return Ok(());
            }
            ensure!(begun.elapsed() < LIMIT, "not all sandboxes are {wanted} in time: {counts:?}");
            self.clock.sleep(COUNT_EVERY).await;
        }
    }

    /// Checks that each sandbox has its machine, the one that it was started with, and that there are no others.
    pub(super) fn check_machines(&self, sandboxes: &[SandboxId]) -> anyhow::Result<()> {
        let worlds = || self.hosts.iter().map(SimHost::world);
        let machines: usize = worlds().map(|world| world.running().len()).sum();
        ensure!(machines == sandboxes.len(), "{machines} machines run");
        let boots = |id: &SandboxId| worlds().map(|world| world.boots(*id)).sum::<u32>();
        ensure!(sandboxes.iter().all(|id| boots(id) == 1), "a machine was started again");
        Ok(())
    }

    /// Kills all agents at once; the machines run on.
    pub(super) async fn lose(&mut self) {
        join_all(self.hosts.iter_mut().map(SimHost::kill_agent)).await;
    }

    /// Starts all agents again at once.
    pub(super) async fn bring_back(&mut self) -> anyhow::Result<()> {
        try_join_all(self.hosts.iter_mut().map(SimHost::start_agent)).await?;
        Ok(())
    }
}
