//! Answers to questions of the control plane about measurements.

use std::{sync::Arc, time::Duration};

use wrenn_proto::{
    agent::{MetricsReport, MetricsRequest, MetricsTier, agent_frame::Frame},
    guest::FiguresResponse,
    ids::SandboxId,
    metrics::{Tier, pack},
};

use crate::machines::Host;

/// Time that a guest has to say what it knows; an older or busy one is left out.
const GUEST_WITHIN: Duration = Duration::from_secs(1);

/// Answers a question. A machine that is not known has no points.
pub(super) async fn answer(host: Arc<Host>, request: MetricsRequest) {
    let id = request.sandbox_id.parse::<SandboxId>().ok();
    let guest = async { if request.with_guest { figures(&host, id?).await } else { None } };
    let points = async {
        let (id, tier, metrics) = (id?, tier(request.tier())?, host.metrics.clone());
        let look = host.works.spawn_blocking(move || pack(tier, &metrics.points(id, tier)));
        look.await.inspect_err(|error| tracing::error!(%error, "measurements could not be read")).ok()
    };
    let (points, guest) = tokio::join!(points, guest);
    let report = MetricsReport { request_id: request.request_id, points: points.unwrap_or_default(), guest };
    host.outbox.publish(Frame::MetricsReport(report));
}

async fn figures(host: &Host, id: SandboxId) -> Option<FiguresResponse> {
    let access = host.board.access(id)?;
    host.clock.timeout(GUEST_WITHIN, access.guest.figures()).await.ok()?.ok()
}

fn tier(tier: MetricsTier) -> Option<Tier> {
    match tier {
        MetricsTier::Unspecified => None,
        MetricsTier::Fine => Some(Tier::Fine),
        MetricsTier::Medium => Some(Tier::Medium),
        MetricsTier::Coarse => Some(Tier::Coarse),
    }
}
