//! The sandboxes on the simulated hosts.

use anyhow::ensure;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use wrenn_actors::{ControlPlane, Until};
use wrenn_base::Clock;
use wrenn_domain::{
    action::Action, audit::AuditIntent, lifecycle::SandboxStatus, principal::SystemReason,
    sandbox::NewSandbox, template::Template,
};
use wrenn_proto::ids::{SandboxId, TeamId};

use crate::bench::fleet::{CLIENTS, DISK_MB, Fleet, LIMIT, MEMORY_MB};
use crate::stopwatch::Stopwatch;

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

/// Sandboxes of a fleet.
pub(super) struct Sandboxes(Vec<SandboxId>);

impl Sandboxes {
    /// Makes so many, and returns the time that each request took; they are on their way to run then.
    pub(super) async fn create(
        control_plane: &ControlPlane,
        template: &Template,
        count: u32,
        clock: &Clock,
    ) -> anyhow::Result<(Self, Vec<f64>)> {
        let requests = stream::iter(0..count).map(|_| async move {
            let begun = Stopwatch::start(clock);
            let row = control_plane.sandbox_create(new_sandbox(template), intent()).await?;
            anyhow::Ok((row.id, begun.ms()))
        });
        let made: Vec<_> = requests.buffer_unordered(CLIENTS).try_collect().await?;
        let (ids, took_ms) = made.into_iter().unzip();
        Ok((Self(ids), took_ms))
    }

    /// Returns their number.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Waits until the server has all hosts, and every sandbox's actor says that it runs and has nothing else to do.
    /// Each has its machine, the one that it was started with.
    pub(super) async fn settled(&self, fleet: &Fleet, control_plane: &ControlPlane) -> anyhow::Result<()> {
        fleet.attached().await?;
        fleet.all(SandboxStatus::Running, self.count()).await?;
        stream::iter(&self.0)
            .map(|id| async move {
                let row = control_plane.sandbox_wait(*id, Until::Settled, LIMIT).await?;
                let status = row.lifecycle.status;
                ensure!(status == SandboxStatus::Running, "{id} is {status}: {:?}", row.lifecycle.last_error);
                Ok(())
            })
            .buffer_unordered(CLIENTS)
            .try_collect::<()>()
            .await?;
        fleet.check_machines(&self.0)
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
