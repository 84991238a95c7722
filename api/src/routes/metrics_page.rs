//! `GET /metrics`, for Prometheus; not part of the API that clients use.

use std::borrow::Cow;

use actix_web::{HttpResponse, web::Data};
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};
use wrenn_control::server_metrics::{self, ServerMetrics};
use wrenn_domain::host::{HostCapacity, HostStatus};

use crate::{
    app::App,
    error::ApiError,
    metrics::{CONTENT_TYPE, Metrics, PREFIX},
};

/// Bytes in a MiB.
const MIB: i64 = 1024 * 1024;

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

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

/// Adds a gauge whose samples differ in their labels.
fn gauge<const N: usize>(
    registry: &mut Registry,
    (name, unit): (&str, Option<Unit>),
    help: &str,
    samples: impl IntoIterator<Item = (Labels<N>, i64)>,
) {
    let family = Family::<Labels<N>, Gauge>::default();
    for (labels, value) in samples {
        family.get_or_create(&labels).set(value);
    }
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family),
        None => registry.register(name, help, family),
    }
}

/// Numbers here are far from what an `i64` can count.
fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn supervision(registry: &mut Registry, server: &ServerMetrics) {
    let supervision = &server.actors.supervision;
    let of_kind = |kind| [("kind", Cow::Borrowed(kind))];
    let alive = supervision.kinds.iter().map(|kind| (of_kind(kind.kind), count(kind.alive)));
    gauge(registry, ("actors", None), "Supervised actors that live, by kind", alive);
    let calls = supervision.kinds.iter().map(|kind| (of_kind(kind.kind), count(kind.calls_in_flight)));
    let help = "Calls that wait in the mailboxes of these actors or are being handled";
    gauge(registry, ("actor_calls_in_flight", None), help, calls);

    let events = Family::<[(&'static str, &'static str); 2], Counter>::default();
    for kind in &supervision.kinds {
        for (event, number) in [
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
            events.get_or_create(&[("kind", kind.kind), ("event", event)]).inc_by(number);
        }
    }
    registry.register("actor_events", "Events of supervised actors, by kind", events);
    let hangs: Counter = Counter::default();
    hangs.inc_by(supervision.arbiter_hangs);
    registry.register("arbiter_hangs", "Times a thread of actors was found blocked", hangs);
    let threads = server.actors.arbiters.iter();
    let threads = threads.map(|(name, actors)| ([("thread", Cow::Owned(name.clone()))], count(*actors)));
    gauge(registry, ("arbiter_actors", None), "Actors that live on each thread", threads);
}

fn hosts(registry: &mut Registry, server: &ServerMetrics) {
    let hosts = &server.actors.hosts;
    let in_status = |status| hosts.iter().filter(move |host| host.status == status);
    let by_status = HostStatus::ALL
        .iter()
        .map(|&status| ([("status", Cow::Borrowed(status.as_str()))], count(in_status(status).count())));
    gauge(registry, ("hosts", None), "Hosts by status", by_status);

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
        let samples = samples.map(|(state, bytes)| ([("state", Cow::Borrowed(state))], bytes));
        gauge(registry, (name, Some(Unit::Bytes)), help, samples);
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
    let samples = samples.map(|(state, requests)| ([("state", Cow::Borrowed(state))], count(requests)));
    let help = "Requests that are carried out, and that wait for their team's turn";
    gauge(registry, ("requests_in_flight", None), help, samples);
    let pool = &server.pool;
    let samples = [("used", pool.used), ("idle", pool.idle)];
    let samples = samples.map(|(state, connections)| ([("state", Cow::Borrowed(state))], count(connections)));
    gauge(registry, ("database_connections", None), "Connections of the pool to Postgres", samples);
    let most = ConstGauge::new(count(pool.max));
    registry.register("database_connections_max", "Most connections of the pool", most);
}

fn database(registry: &mut Registry, server: &ServerMetrics) {
    let Some(counts) = &server.database else { return };
    let capsules = &counts.sandboxes;
    let by_status = |of: fn(&wrenn_domain::administration::SandboxCount) -> i64| {
        capsules.iter().map(move |entry| ([("status", Cow::Borrowed(entry.status.as_str()))], of(entry)))
    };
    let help = "Capsules that are not gone, by status";
    gauge(registry, ("capsules", None), help, by_status(|entry| entry.count));
    let help = "Processors of these capsules, by status";
    gauge(registry, ("capsules_vcpus", None), help, by_status(|entry| entry.vcpus));
    let help = "Memory of these capsules, by status";
    let memory = by_status(|entry| entry.memory_mb * MIB);
    gauge(registry, ("capsules_memory", Some(Unit::Bytes)), help, memory);
    let builds = [("pending", counts.builds.pending), ("running", counts.builds.running)];
    let builds = builds.map(|(status, builds)| ([("status", Cow::Borrowed(status))], builds));
    gauge(registry, ("builds", None), "Builds that have not ended, by status", builds);
    let waiting = ConstGauge::new(counts.deliveries_pending);
    let help = "Notifications that wait to be delivered";
    registry.register("notifications_pending", help, waiting);
}
