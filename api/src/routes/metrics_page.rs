//! `GET /metrics`, for Prometheus; not part of the API that clients use.

use actix_web::{HttpResponse, web::Data};
use wrenn_control::server_metrics;
use wrenn_domain::host::HostStatus;

use crate::{
    app::App,
    metrics::{Metrics, Page},
};

/// Answers with all metrics, without the number of capsules if the database fails.
pub(crate) async fn metrics(app: Data<App>, metrics: Data<Metrics>) -> HttpResponse {
    let mut page = Page::default();
    metrics.write(&mut page);
    let server = server_metrics::run(&app.control).await;
    write_supervision(&mut page, &server.actors);
    write_hosts(&mut page, &server.actors);
    if let Some(counts) = &server.sandboxes {
        let counts = counts.iter().map(|(status, count)| (status.as_str(), *count));
        page.gauge_by("wrenn_capsules", "Capsules that are not gone, by status.", "status", counts);
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(page.into_text())
}

fn write_supervision(page: &mut Page, numbers: &wrenn_actors::Metrics) {
    page.describe("wrenn_actors", "gauge", "Supervised actors that live, by kind.");
    for kind in &numbers.supervision.kinds {
        page.line(&format!("wrenn_actors{{kind=\"{}\"}}", kind.kind), kind.alive);
    }
    const EVENTS: &str = "wrenn_actor_events_total";
    page.describe(EVENTS, "counter", "Events of supervised actors, by kind.");
    for kind in &numbers.supervision.kinds {
        for (event, count) in [
            ("start", kind.starts),
            ("restart", kind.restarts),
            ("panic", kind.panics),
            ("declared_failure", kind.declared_failures),
            ("hang", kind.hangs),
            ("stop", kind.stops),
            ("kill", kind.kills),
            ("escalation", kind.escalations),
            ("abort", kind.aborts),
        ] {
            page.line(&format!("{EVENTS}{{kind=\"{}\",event=\"{event}\"}}", kind.kind), count);
        }
    }
    page.describe("wrenn_arbiter_hangs_total", "counter", "Times an actors' thread was found blocked.");
    page.line("wrenn_arbiter_hangs_total", numbers.supervision.arbiter_hangs);
    page.describe("wrenn_tunnels_opening", "gauge", "Tunnels that wait for their agent.");
    page.line("wrenn_tunnels_opening", numbers.tunnels_opening);
}

fn write_hosts(page: &mut Page, numbers: &wrenn_actors::Metrics) {
    let count = |status| numbers.hosts.iter().filter(|host| host.status == status).count();
    let counts = HostStatus::ALL.iter().map(|&status| {
        // There are fewer hosts than an i64 can count.
        (status.as_str(), i64::try_from(count(status)).unwrap_or(i64::MAX))
    });
    page.gauge_by("wrenn_hosts", "Hosts by status.", "status", counts);
}
