//! The way to the measurements of a sandbox that are on its host.

use wrenn_domain::metrics::Tier;
use wrenn_proto::ids::{HostId, SandboxId};

use crate::{
    ControlPlane,
    host::{AskMetrics, MetricsReport},
};

/// Reason for which a host did not report measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// The host is not attached, or does not answer in time.
    #[error("host {0} is away")]
    HostAway(HostId),
    /// The host is attached to another server.
    #[error("host {0} is attached to another server")]
    Elsewhere(HostId),
}

impl ControlPlane {
    /// Asks a host for the measurements of one of its sandboxes in one tier. This does not count as use of the sandbox.
    ///
    /// # Errors
    /// See [`MetricsError`].
    pub async fn sandbox_metrics(
        &self,
        host: HostId,
        sandbox: SandboxId,
        tier: Tier,
    ) -> Result<MetricsReport, MetricsError> {
        let hosts = &self.parts.hosts;
        if hosts.held(host).is_none() {
            return Err(MetricsError::Elsewhere(host));
        }
        if !hosts.is_online(host) {
            return Err(MetricsError::HostAway(host));
        }
        match hosts.connections().ask_metrics(host, AskMetrics { sandbox, tier }).await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(_)) => Err(MetricsError::HostAway(host)),
            Err(error) => {
                tracing::warn!(%host, %sandbox, %error, "measurements did not arrive");
                Err(MetricsError::HostAway(host))
            }
        }
    }
}
