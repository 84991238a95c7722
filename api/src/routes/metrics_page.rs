//! `GET /metrics`, for Prometheus; not part of the API that clients use.

use actix_web::{HttpResponse, web::Data};
use prometheus_client::{
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};
use wrenn_base::openmetrics::{CONTENT_TYPE, add_gauge, count};
use wrenn_control::server_metrics::{self, ServerMetrics};
use wrenn_domain::host::{HostCapacity, HostStatus};

use crate::{
    app::App,
    error::ApiError,
    metrics::{Metrics, PREFIX},
};

/// Bytes in a MiB.
const MIB: i64 = 1024 * 1024;

/// Answers with all metrics, without those of the database if it fails.
pub(crate) async fn metrics(app: Data<App>, metrics: Data<Metrics>) -> Result<HttpResponse, ApiError> {
    let page = metrics.page(&now(&server_metrics::run(&app.control).await));
    let page = page.map_err(|_| ApiError::internal())?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(page))
}

/// Returns a registry of what was read just now.
fn now(server: &ServerMetrics) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    supervision(&mut registry, server);
    hosts(&mut registry, server);
    requests(&mut registry, server);
    database(&mut registry, server);
    registry
}

fn supervision(registry: &mut Registry, server: &ServerMetrics) {
    server.actors.supervision.register(registry);
    let threads = server.actors.arbiters.iter();
    let threads = threads.map(|(name, actors)| ([("thread", name.clone())], count(*actors)));
    add_gauge(registry, "arbiter_actors", None, "Actors that live on each thread", threads);
}

fn hosts(registry: &mut Registry, server: &ServerMetrics) {
    let hosts = &server.actors.hosts;
    let in_status = |status| hosts.iter().filter(move |host| host.status == status);
    let by_status = HostStatus::ALL
        .iter()
        .map(|&status| ([("status", status.as_str())], count(in_status(status).count())));
    add_gauge(registry, "hosts", None, "Hosts by status", by_status);

    let online = || in_status(HostStatus::Online);
    let total = |of: fn(&HostCapacity) -> i64| online().map(|host| of(&host.capacity)).sum::<i64>();
    let vcpus = ConstGauge::new(total(|capacity| count(capacity.cpu_cores)));
    registry.register("hosts_vcpus", "Processors of the hosts that are online", vcpus);
    for (name, help, total, free) in [
        (
            "hosts_memory",
            "Memory of the hosts that are online, in all and free",
            total(|capacity| count(capacity.memory_mb) * MIB),
            online().filter_map(|host| host.load).map(|load| count(load.memory_available_mb) * MIB).sum(),
        ),
        (
            "hosts_disk",
            "Volumes of the hosts that are online, in all and free",
            total(|capacity| count(capacity.disk_mb) * MIB),
            online()
                .filter_map(|host| host.load)
                .map(|load| count(load.disk_available_mb) * MIB)
                .sum::<i64>(),
        ),
    ] {
        let samples = [("total", total), ("available", free)];
        let samples = samples.map(|(state, bytes)| ([("state", state)], bytes));
        add_gauge(registry, name, Some(Unit::Bytes), help, samples);
    }
    let opening = ConstGauge::new(count(server.actors.tunnels_opening));
    registry.register("tunnels_opening", "Tunnels that wait for their agent", opening);
    let sessions = ConstGauge::new(count(server.actors.grants));
    let help = "Sessions, sockets, streams and previews that are open";
    registry.register("sessions", help, sessions);
}

fn requests(registry: &mut Registry, server: &ServerMetrics) {
    let admission = &server.admission;
    let samples = [("admitted", admission.admitted), ("waiting", admission.waiting)];
    let samples = samples.map(|(state, requests)| ([("state", state)], count(requests)));
    let help = "Requests that are carried out, and that wait for their team's turn";
    add_gauge(registry, "requests_in_flight", None, help, samples);
    let pool = &server.pool;
    let samples = [("used", pool.used), ("idle", pool.idle)];
    let samples = samples.map(|(state, connections)| ([("state", state)], count(connections)));
    add_gauge(registry, "database_connections", None, "Connections of the pool to Postgres", samples);
    let most = ConstGauge::new(count(pool.max));
    registry.register("database_connections_max", "Most connections of the pool", most);
}

fn database(registry: &mut Registry, server: &ServerMetrics) {
    let Some(counts) = &server.database else { return };
    let capsules = &counts.sandboxes;
    let by_status = |of: fn(&wrenn_domain::administration::SandboxCount) -> i64| {
        capsules.iter().map(move |entry| ([("status", entry.status.as_str())], of(entry)))
    };
    let help = "Capsules that are not gone, by status";
    add_gauge(registry, "capsules", None, help, by_status(|entry| entry.count));
    let help = "Processors of these capsules, by status";
    add_gauge(registry, "capsules_vcpus", None, help, by_status(|entry| entry.vcpus));
    let help = "Memory of these capsules, by status";
    let memory = by_status(|entry| entry.memory_mb * MIB);
    add_gauge(registry, "capsules_memory", Some(Unit::Bytes), help, memory);
    let builds = [("pending", counts.builds.pending), ("running", counts.builds.running)];
    let builds = builds.map(|(status, builds)| ([("status", status)], builds));
    add_gauge(registry, "builds", None, "Builds that have not ended, by status", builds);
    let waiting = ConstGauge::new(counts.deliveries_pending);
    let help = "Notifications that wait to be delivered";
    registry.register("notifications_pending", help, waiting);
}
