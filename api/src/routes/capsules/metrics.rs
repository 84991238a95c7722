//! `GET /v1/capsules/{id}/metrics`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_control::sandbox_metrics_get::{self, MetricsSource, SandboxMetrics};
use wrenn_domain::{
    action::Action,
    ids::SandboxId,
    metrics::{self, GuestFigures, Point},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId, Query},
};

/// Range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub(crate) enum MetricsRange {
    #[serde(rename = "5m")]
    Minutes5,
    #[default]
    #[serde(rename = "10m")]
    Minutes10,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "2h")]
    Hours2,
    #[serde(rename = "6h")]
    Hours6,
    #[serde(rename = "12h")]
    Hours12,
    #[serde(rename = "24h")]
    Day,
}

impl From<MetricsRange> for metrics::MetricsRange {
    fn from(range: MetricsRange) -> Self {
        match range {
            MetricsRange::Minutes5 => Self::Minutes5,
            MetricsRange::Minutes10 => Self::Minutes10,
            MetricsRange::Hour => Self::Hour,
            MetricsRange::Hours2 => Self::Hours2,
            MetricsRange::Hours6 => Self::Hours6,
            MetricsRange::Hours12 => Self::Hours12,
            MetricsRange::Day => Self::Day,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MetricsQuery {
    /// The range ends with the newest point.
    #[serde(default)]
    #[param(inline, default = "10m")]
    range: MetricsRange,
}

/// Origin of the points.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CapsuleMetricsSource {
    /// The host measures the capsule now.
    Live,
    /// The capsule does not run; these are the points of when it did.
    Stored,
    /// The host of the capsule does not answer. The points end where the capsule was last paused or stopped.
    HostAway,
}

/// Measurements of one period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricPoint {
    /// Beginning of the period.
    timestamp_unix: i64,
    /// Processor time that the capsule took from its host; 100 is one vCPU.
    cpu_pct: f64,
    /// Memory of the host that the capsule occupies, with that of its virtual machine.
    mem_bytes: i64,
    /// Blocks of the host that the capsule's disk occupies.
    disk_bytes: i64,
    /// All bytes that the capsule has received until the end of the period.
    net_in_bytes: i64,
    /// All bytes that the capsule has sent until the end of the period.
    net_out_bytes: i64,
}

impl From<Point> for MetricPoint {
    fn from(point: Point) -> Self {
        Self {
            timestamp_unix: (point.at_ms / 1000).cast_signed(),
            // To the hundredth: a float of 32 bits has digits that mean nothing.
            cpu_pct: (f64::from(point.cpu_pct) * 100.0).round() / 100.0,
            mem_bytes: point.memory_bytes.cast_signed(),
            disk_bytes: point.disk_bytes.cast_signed(),
            net_in_bytes: point.net_in_bytes.cast_signed(),
            net_out_bytes: point.net_out_bytes.cast_signed(),
        }
    }
}

/// Figures of a capsule as its own kernel has them. Programs in the capsule can falsify them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleGuestMetrics {
    mem_total_bytes: i64,
    /// Without caches.
    mem_used_bytes: i64,
    mem_cached_bytes: i64,
    load_1m: f64,
    load_5m: f64,
    load_15m: f64,
    /// Size of the root filesystem.
    disk_total_bytes: i64,
    disk_used_bytes: i64,
}

impl From<GuestFigures> for CapsuleGuestMetrics {
    fn from(figures: GuestFigures) -> Self {
        Self {
            mem_total_bytes: figures.memory_total_bytes.cast_signed(),
            mem_used_bytes: figures.memory_used_bytes.cast_signed(),
            mem_cached_bytes: figures.memory_cached_bytes.cast_signed(),
            load_1m: figures.load_1m,
            load_5m: figures.load_5m,
            load_15m: figures.load_15m,
            disk_total_bytes: figures.disk_total_bytes.cast_signed(),
            disk_used_bytes: figures.disk_used_bytes.cast_signed(),
        }
    }
}

/// Measurements of a capsule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleMetrics {
    #[schema(example = "cl-01jx3m8k2vdqg5z7c9h4f6t8r")]
    sandbox_id: String,
    range: MetricsRange,
    /// Seconds from one point to the next. Where more time lies between two, nothing was measured: the capsule did not
    /// run, or its host had no agent.
    step_sec: i64,
    /// At most 600, in the order of time.
    points: Vec<MetricPoint>,
    source: CapsuleMetricsSource,
    /// Absent if the capsule does not run, or does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    guest: Option<CapsuleGuestMetrics>,
}

/// Show the measurements of a capsule
///
/// `5m` and `10m` have a point for each second, `1h` and `2h` for each half minute, `6h`, `12h` and `24h` for each five
/// minutes. A range ends with the newest point, so a capsule that is paused shows its last minutes or hours, and goes on
/// with them when it is resumed. After its end it does so for 30 days. Showing them does not count as activity.
#[utoipa::path(
    get, path = Action::SandboxMetrics.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule"), MetricsQuery),
    responses(
        (status = 200, description = "The measurements; none yet if `points` is empty", body = CapsuleMetrics),
        (status = 400, description = "The request is not valid: `range` is one of `5m`, `10m`, `1h`, `2h`, `6h`, `12h`, `24h`", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn get_capsule_metrics(
    app: Data<App>,
    AuthThen(Authorized(principal), AuthThen(PathId(id), Query(query))): AuthThen<
        Authorized,
        AuthThen<PathId<SandboxId>, Query<MetricsQuery>>,
    >,
) -> Result<HttpResponse, ApiError> {
    let range = metrics::MetricsRange::from(query.range);
    let found = sandbox_metrics_get::run(&app.control, &principal, id, range).await?;
    let SandboxMetrics { points, source, guest } = found;
    Ok(HttpResponse::Ok().json(CapsuleMetrics {
        sandbox_id: id.to_string(),
        range: query.range,
        step_sec: (range.step_ms() / 1000).cast_signed(),
        points: points.into_iter().map(MetricPoint::from).collect(),
        source: match source {
            MetricsSource::Live => CapsuleMetricsSource::Live,
            MetricsSource::Stored => CapsuleMetricsSource::Stored,
            MetricsSource::HostAway => CapsuleMetricsSource::HostAway,
        },
        guest: guest.map(CapsuleGuestMetrics::from),
    }))
}
