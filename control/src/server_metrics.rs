//! Collects the server's metrics for its operators: actors, hosts, and counts over all teams.
//!
//! For the page that a monitoring system reads; it is no action of a principal.

use prometheus_client::registry::Registry;
use wrenn_actors::Metrics;
use wrenn_base::Chain;
use wrenn_domain::administration::{OpenBuilds, SandboxCount};
use wrenn_store::{StoreError, statistics::PoolLoad};

use crate::Control;
pub use crate::admission::AdmissionLoad;

/// Metrics at one moment.
#[derive(Debug, Clone)]
pub struct ServerMetrics {
    /// Actors and hosts.
    pub actors: Metrics,
    /// Requests that are carried out and that wait.
    pub admission: AdmissionLoad,
    /// Connections to Postgres.
    pub pool: PoolLoad,
    /// Counts over all teams; `None` if the database failed.
    pub database: Option<DatabaseCounts>,
}

/// Counts that only the database knows.
#[derive(Debug, Clone)]
pub struct DatabaseCounts {
    /// Sandboxes in each state, without destroyed ones.
    pub sandboxes: Vec<SandboxCount>,
    /// Builds that have not ended.
    pub builds: OpenBuilds,
    /// Notifications that wait to be delivered.
    pub deliveries_pending: i64,
}

/// Returns the metrics.
pub async fn run(control: &Control) -> ServerMetrics {
    let database = match counts(control).await {
        Ok(counts) => Some(counts),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "counting for metrics failed");
            None
        }
    };
    ServerMetrics {
        actors: control.actors().metrics(),
        admission: control.admission_load(),
        pool: control.store().pool_load(),
        database,
    }
}

/// Registers the histograms and counters that are written as things happen.
pub fn register(control: &Control, registry: &mut Registry) {
    control.actors().register_instruments(registry);
}

async fn counts(control: &Control) -> Result<DatabaseCounts, StoreError> {
    let store = control.store();
    Ok(DatabaseCounts {
        sandboxes: store.sandbox_counts().await?,
        builds: store.open_build_counts().await?,
        deliveries_pending: store.pending_delivery_count().await?,
    })
}
