//! Shows the measurements of a sandbox, also of one that is paused or gone.
//!
//! ```text
//!   may it have a machine? ── no ──▶ what its host handed over when it stopped
//!                          └─ yes ─▶ that, and what the host has now
//! ```
//!
//! A host that is away is no error: what is stored is shown, and said to be old.

use wrenn_actors::{MetricsError, OperationError};
use wrenn_domain::{
    action::Action,
    ids::SandboxId,
    lifecycle::SandboxStatus,
    metrics::{GuestFigures, MetricsRange, Point, merge, unpack},
    principal::Principal,
    sandbox::Sandbox,
};

use crate::Control;

/// Origin of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsSource {
    /// The host measures now.
    Live,
    /// The sandbox does not run, and this is all that was measured.
    Stored,
    /// The sandbox may run on a host that does not answer; what was measured since its last stop is missing.
    HostAway,
}

/// Measurements of a sandbox.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxMetrics {
    /// Points of the range, in the order of time.
    pub points: Vec<Point>,
    /// Their origin.
    pub source: MetricsSource,
    /// Figures that the guest reports now, if it does.
    pub guest: Option<GuestFigures>,
}

/// Returns the measurements of a range, which ends with the newest one. This does not count as use of the sandbox.
///
/// # Errors
/// [`OperationError::NotFound`], also for a sandbox of another team, and [`OperationError::Elsewhere`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    range: MetricsRange,
) -> Result<SandboxMetrics, OperationError> {
    let pass = control.enter(principal, Action::SandboxMetrics).await?;
    let store = control.store();
    let sandbox = store.sandbox_fetch(pass.team(), id).await.map_err(OperationError::Store)?;
    let sandbox = sandbox.ok_or(OperationError::NotFound(id))?;
    let tier = range.tier();
    let stored = store.capsule_metrics_get(id, tier).await.map_err(OperationError::Store)?;
    // The host is waited for now, which takes no place from others.
    drop(pass);
    let stored = stored.map_or_else(Vec::new, |bytes| {
        unpack(tier, &bytes).unwrap_or_else(|error| {
            tracing::error!(sandbox = %id, %tier, %error, "stored measurements cannot be read");
            Vec::new()
        })
    });
    if !may_run(&sandbox) {
        return Ok(SandboxMetrics {
            points: range.select(&stored),
            source: MetricsSource::Stored,
            guest: None,
        });
    }
    let (points, source, guest) = match control.actors().sandbox_metrics(sandbox.host_id, id, tier).await {
        Ok(report) => (merge(&stored, &report.points), MetricsSource::Live, report.guest),
        Err(MetricsError::HostAway(_)) => (stored, MetricsSource::HostAway, None),
        Err(MetricsError::Elsewhere(host)) => return Err(OperationError::Elsewhere { sandbox: id, host }),
    };
    Ok(SandboxMetrics { points: range.select(&points), source, guest })
}

/// Returns true unless the sandbox certainly has no machine that runs.
fn may_run(sandbox: &Sandbox) -> bool {
    let at_rest = match sandbox.lifecycle.status {
        SandboxStatus::Paused | SandboxStatus::Hibernated | SandboxStatus::Stopped | SandboxStatus::Error => {
            true
        }
        SandboxStatus::Pending
        | SandboxStatus::Starting
        | SandboxStatus::Running
        | SandboxStatus::Missing => false,
    };
    !(at_rest && sandbox.lifecycle.operation.is_none())
}
