//! The simulated hosts, and the sandboxes on them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{
    future::{join_all, try_join_all},
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use tokio::time::{sleep, timeout};
use wrenn_actors::{ControlPlane, Until};
use wrenn_agent::sim::{SimHost, SimIdentity, SimOptions};
use wrenn_api::bootstrap;
use wrenn_domain::{
    action::Action, audit::AuditIntent, host::NewHost, lifecycle::SandboxStatus, principal::SystemReason,
    sandbox::NewSandbox, template::Template,
};
use wrenn_proto::{
    agent::Capacity,
    ids::{SandboxId, TeamId},
};
use wrenn_store::Store;

use crate::bench::capsule::ms_since;

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

/// Requests that are under way at once.
const CLIENTS: usize = 64;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const MEMORY_MB: u32 = 512;
const DISK_MB: u32 = 5120;

/// Hosts and what they run.
pub(super) struct Fleet {
    store: Store,
    hosts: Vec<SimHost>,
    sandboxes: Vec<SandboxId>,
}

impl Fleet {
    /// Starts hosts that have room for so many sandboxes together; they register, and attach.
    pub(super) async fn start(store: Store, addr: &str, hosts: u32, sandboxes: u32) -> anyhow::Result<Self> {
        let mut fleet = Self { store, hosts: Vec::new(), sandboxes: Vec::new() };
        let each = sandboxes.div_ceil(hosts) + 1;
        let capacity = Capacity {
            cpu_cores: each,
            memory_mb: u64::from(each) * u64::from(MEMORY_MB),
            disk_mb: u64::from(each) * u64::from(DISK_MB),
        };
        let options = SimOptions { capacity, ..SimOptions::default() };
        for _ in 0..hosts {
            let host = fleet.store.host_create(&NewHost::default()).await?;
            let token = bootstrap::issue_registration_token(&fleet.store, host.id).await?;
            let identity = SimIdentity::RegistrationToken(token);
            fleet.hosts.push(SimHost::start(addr.parse()?, identity, options.clone()).await?);
        }
        fleet.attached().await?;
        Ok(fleet)
    }

    /// Waits until all hosts are attached.
    async fn attached(&self) -> anyhow::Result<()> {
        let all = join_all(self.hosts.iter().map(SimHost::attached));
        let attached = timeout(LIMIT, all).await.context("hosts do not attach in time")?;
        ensure!(attached.iter().all(|attached| *attached), "a host was refused");
        Ok(())
    }

    /// Makes the sandboxes, and returns how long each request took; they are on their way to run then.
    pub(super) async fn create(
        &mut self,
        control_plane: &ControlPlane,
        template: &Template,
        count: u32,
    ) -> anyhow::Result<Vec<f64>> {
        let requests = stream::iter(0..count).map(|_| async move {
            let begun = Instant::now();
            let row = control_plane.sandbox_create(new_sandbox(template), intent()).await?;
            anyhow::Ok((row.id, ms_since(begun)))
        });
        let made: Vec<_> = requests.buffer_unordered(CLIENTS).try_collect().await?;
        let (ids, took_ms) = made.into_iter().unzip();
        self.sandboxes = ids;
        Ok(took_ms)
    }

    /// Waits until the rows of all sandboxes say this.
    pub(super) async fn all(&self, wanted: SandboxStatus) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let counts = self.store.sandbox_counts().await?;
            let there = counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
            if usize::try_from(there) == Ok(self.sandboxes.len()) {
                return Ok(());
            }
            ensure!(begun.elapsed() < LIMIT, "not all sandboxes are {wanted} in time: {counts:?}");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the server has all hosts, and every sandbox's actor says that it runs and has nothing else to do.
    /// Each has its machine, the one that it was started with.
    pub(super) async fn settled(&self, control_plane: &ControlPlane) -> anyhow::Result<()> {
        self.attached().await?;
        self.all(SandboxStatus::Running).await?;
        stream::iter(&self.sandboxes)
            .map(|id| async move {
                let row = control_plane.sandbox_wait(*id, Until::Settled, LIMIT).await?;
                let status = row.lifecycle.status;
                ensure!(status == SandboxStatus::Running, "{id} is {status}: {:?}", row.lifecycle.last_error);
                Ok(())
            })
            .buffer_unordered(CLIENTS)
            .try_collect::<()>()
            .await?;
        let worlds = || self.hosts.iter().map(SimHost::world);
        let machines: usize = worlds().map(|world| world.running().len()).sum();
        ensure!(machines == self.sandboxes.len(), "{machines} machines run");
        let boots = |id: &SandboxId| worlds().map(|world| world.boots(*id)).sum::<u32>();
        ensure!(self.sandboxes.iter().all(|id| boots(id) == 1), "a machine was started again");
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

fn new_sandbox(template: &Template) -> NewSandbox {
    NewSandbox {
        id: SandboxId::new(),
        team_id: TeamId::PLATFORM,
        template_id: template.id,
        template_name: template.name.clone(),
        template_image: template.image.clone(),
        template_hosts: None,
        vcpus: 1,
        memory_mb: MEMORY_MB,
        disk_size_mb: DISK_MB,
        timeout_sec: 0,
        auto_resume: false,
        default_user: "root".to_owned(),
        envs: [].into(),
        metadata: [].into(),
        preview_access: Default::default(),
        build: None,
    }
}
