//! Handover of a machine's measurements when it stops running: the control plane gets them before the outcome.

use wrenn_proto::{agent::agent_frame::Frame, ids::SandboxId};

use super::Host;

/// Future of the measurements of a machine that does not run any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measurements {
    /// They are continued if the machine runs again.
    Kept,
    /// The machine is destroyed: they go when the control plane has them.
    Ended,
}

impl Host {
    /// Sends the measurements of a machine that does not run any more, if they are not stored already.
    pub(super) async fn hand_over_measurements(&self, id: SandboxId, future: Measurements) {
        let (metrics, now) = (self.metrics.clone(), self.clock.now());
        let look = move || {
            if future == Measurements::Ended {
                metrics.end(id);
            }
            metrics.unstored(id, now)
        };
        match self.works.spawn_blocking(look).await {
            Ok(Some(history)) => self.outbox.publish(Frame::MetricsHistory(history)),
            Ok(None) => {}
            Err(panic) => {
                tracing::error!(sandbox_id = %id, error = %panic, "measurements were not handed over")
            }
        }
    }
}
