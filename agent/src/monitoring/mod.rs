//! Metrics of an agent, for Prometheus.
//!
//! ```text
//!   work on machines ─ Instruments ──────────────────┐
//!   machines, host, volume, actors ─ read at a scrape ┴─▶ text ◀── GET /metrics, on WRENN_AGENT_METRICS_ADDR
//! ```

mod instruments;
mod page;
mod server;
mod volume;

pub use self::{
    instruments::{Instruments, StartPhase},
    server::ServeMetricsError,
};
pub(crate) use self::{page::Sources, server::serve};
