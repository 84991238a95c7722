//! Measurements of sandboxes: what a host is asked for, and what it hands over.
//!
//! ```text
//!   AskMetrics ─▶ MetricsRequest ─▶ agent ─▶ MetricsReport ─▶ whoever asked
//!                 agent ─▶ MetricsHistory ─▶ database ─▶ MetricsStored ─▶ agent
//! ```
//!
//! A history is stored before the next frame of its host is handled, so whoever hears that a machine does not run any more
//! finds its measurements. One that is not stored is not acknowledged, and comes again.

use actix::{AsyncContext as _, Context, Handler, Message, ResponseFuture, fut::ready};
use wrenn_base::Chain;
use wrenn_domain::metrics::{GuestFigures, Tier, packed, unpack};
use wrenn_proto::{
    agent::{self, server_frame},
    guest::FiguresResponse,
    ids::SandboxId,
};
use wrenn_store::capsule_metrics::MetricsSaved;

use super::{
    connection::HostConnection,
    messages::{AskMetrics, HostAway, MetricsReport},
    pending_metrics::Waiting,
};

/// A history was stored, or is not wanted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Acknowledge(agent::MetricsStored);

impl Handler<AskMetrics> for HostConnection {
    type Result = ResponseFuture<Result<MetricsReport, HostAway>>;

    fn handle(&mut self, AskMetrics { sandbox, tier }: AskMetrics, ctx: &mut Context<Self>) -> Self::Result {
        let Some((request_id, report)) = self.metrics.add(tier) else {
            return Box::pin(ready(Err(HostAway)));
        };
        let wire_tier = match tier {
            Tier::Fine => agent::MetricsTier::Fine,
            Tier::Medium => agent::MetricsTier::Medium,
            Tier::Coarse => agent::MetricsTier::Coarse,
        };
        let request = agent::MetricsRequest {
            request_id,
            sandbox_id: sandbox.to_string(),
            tier: wire_tier.into(),
            with_guest: true,
        };
        if self.send(server_frame::Frame::MetricsRequest(request), ctx).is_err() {
            return Box::pin(ready(Err(HostAway)));
        }
        Box::pin(async move { report.await.map_err(|_| HostAway) })
    }
}

impl Handler<Acknowledge> for HostConnection {
    type Result = ();

    fn handle(&mut self, Acknowledge(stored): Acknowledge, ctx: &mut Context<Self>) {
        // An agent that has gone meanwhile sends the history again.
        let _ = self.send(server_frame::Frame::MetricsStored(stored), ctx);
    }
}

impl HostConnection {
    pub(super) fn metrics_report(&mut self, report: agent::MetricsReport) {
        let Some(Waiting { tier, reply }) = self.metrics.take(report.request_id) else {
            return self.complain("measurements that nobody asked for", "");
        };
        let points = match report.points.as_slice() {
            [] => Vec::new(),
            bytes => match unpack(tier, bytes) {
                Ok(points) => points,
                Err(error) => return self.complain("measurements that cannot be read", &error.to_string()),
            },
        };
        // The asker may have left.
        let _ = reply.send(MetricsReport { points, guest: report.guest.map(figures) });
    }

    pub(super) fn metrics_history(
        &mut self,
        history: agent::MetricsHistory,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let (Ok(sandbox), Some(attachment)) = (history.sandbox_id.parse::<SandboxId>(), self.attachment)
        else {
            self.complain("measurements that nobody can have", &history.sandbox_id);
            return Box::pin(ready(()));
        };
        let agent::MetricsHistory { sandbox_id, up_to_unix_ms, fine, medium, coarse } = history;
        let tiers = [(Tier::Fine, fine), (Tier::Medium, medium), (Tier::Coarse, coarse)];
        for (tier, bytes) in &tiers {
            let read = if bytes.len() > packed::MAX_BYTES {
                Err(packed::PackedError::TooMany)
            } else {
                unpack(*tier, bytes).map(drop)
            };
            if let Err(error) = read {
                self.complain("a history that cannot be read", &error.to_string());
                return Box::pin(ready(()));
            }
        }
        let (store, id, connection) = (self.parts.store.clone(), self.id, ctx.address());
        Box::pin(async move {
            match store.capsule_metrics_save(attachment, sandbox, &tiers).await {
                Ok(MetricsSaved::Stored | MetricsSaved::Unknown) => {
                    connection.do_send(Acknowledge(agent::MetricsStored { sandbox_id, up_to_unix_ms }));
                }
                // The agent resends it to the server that holds the host.
                Ok(MetricsSaved::NotHeld) => {}
                Err(error) => {
                    tracing::warn!(host = %id, %sandbox, error = %Chain(&error), "measurements were not stored");
                }
            }
        })
    }
}

fn figures(wire: FiguresResponse) -> GuestFigures {
    let figures = GuestFigures {
        memory_total_bytes: wire.memory_total_bytes,
        memory_used_bytes: wire.memory_used_bytes,
        memory_cached_bytes: wire.memory_cached_bytes,
        load_1m: wire.load_1m,
        load_5m: wire.load_5m,
        load_15m: wire.load_15m,
        disk_total_bytes: wire.disk_total_bytes,
        disk_used_bytes: wire.disk_used_bytes,
    };
    figures.bounded()
}
