//! Collects the server's metrics for its operators: actors, hosts and sandboxes over all teams.
//!
//! For the page that a monitoring system reads; it is no action of a principal.

use wrenn_actors::Metrics;
use wrenn_base::Chain;
use wrenn_domain::lifecycle::SandboxStatus;

use crate::Control;

/// Metrics at one moment.
#[derive(Debug, Clone)]
pub struct ServerMetrics {
    /// Actors and hosts.
    pub actors: Metrics,
    /// Number of sandboxes in each state, without destroyed ones; `None` if the database failed.
    pub sandboxes: Option<Vec<(SandboxStatus, i64)>>,
}

/// Returns the metrics.
pub async fn run(control: &Control) -> ServerMetrics {
    let actors = control.actors().metrics();
    let sandboxes = match control.store().sandbox_counts().await {
        Ok(counts) => Some(counts),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "counting sandboxes failed");
            None
        }
    };
    ServerMetrics { actors, sandboxes }
}
